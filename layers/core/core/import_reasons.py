"""Why a file or a row was not imported, in plain words and six languages; codes that mean the same share one."""

from typing import Literal

from core.import_texts import primary

type _Reason = Literal[
    "unreadable",
    "too-large",
    "password",
    "no-text",
    "no-table",
    "too-many-errors",
    "gone",
    "duplicate",
    "template",
    "money",
    "failed",
    "row-missing",
    "row-type",
    "row-ambiguous",
    "row-constraint",
    "row-shape",
    "row-evidence",
    "row-unreadable",
]

_FILES: dict[str, _Reason] = {
    **dict.fromkeys(("empty-file", "corrupt-file", "unsupported-type", "dtd-forbidden", "unsafe-member"), "unreadable"),
    **dict.fromkeys(("file-too-large", "ratio", "too-many-members", "nesting-too-deep"), "too-large"),
    **dict.fromkeys(("sheet-too-large", "too-many-columns", "too-many-pages"), "too-large"),
    "nothing-found": "unreadable",
    "password-required": "password",
    **dict.fromkeys(("no-text-layer", "no-provider"), "no-text"),
    **dict.fromkeys(("no-table", "no-mapping", "unexpected-column"), "no-table"),
    "too-many-errors": "too-many-errors",
    **dict.fromkeys(("file-changed", "file-gone"), "gone"),
    "duplicate-file": "duplicate",
    **dict.fromkeys(("template-unknown", "template-invalid", "options"), "template"),
    **dict.fromkeys(("cost-cap", "limit-company-month", "limit-user-day"), "money"),
}
_ROWS: dict[str, _Reason] = {
    **dict.fromkeys(("missing-value", "missing-cell"), "row-missing"),
    "type-error": "row-type",
    "ambiguous-value": "row-ambiguous",
    "constraint": "row-constraint",
    **dict.fromkeys(("extra-cell", "not-an-object"), "row-shape"),
    "no-evidence": "row-evidence",
}
_ENGLISH: dict[_Reason, str] = {
    "unreadable": "It is empty, damaged, or of a kind that I do not import.",
    "too-large": "It is too large, or larger inside than it may be. Please split it.",
    "password": "It has a password. Please send it without one.",
    "no-text": "It holds a scan, a picture or a recording, and nobody here can read or hear it.",
    "no-table": "Its columns do not fit: a required field has no column, or the table is not there.",
    "too-many-errors": "Too many of its rows do not fit.",
    "gone": "It was changed or removed meanwhile. Please send it again.",
    "duplicate": "The same file was imported before. Say so if I am to do it again.",
    "template": "The template is unknown or makes no sense. Your operations team can repair it.",
    "money": "The limit of what it may cost is reached. Your operations team can raise it.",
    "failed": "Something went wrong on our side. Your operations team can see why.",
    "row-missing": "a value is missing",
    "row-type": "the value is of another kind than it has to be",
    "row-ambiguous": "the value can be read in two ways",
    "row-constraint": "the value does not fit the rules",
    "row-shape": "the row has another shape than the others",
    "row-evidence": "it does not stand in the document",
    "row-unreadable": "it cannot be read",
}
_GERMAN: dict[_Reason, str] = {
    "unreadable": "Sie ist leer, beschädigt oder von einer Art, die ich nicht importiere.",
    "too-large": "Sie ist zu groß, oder innen größer, als sie sein darf. Bitte teilen Sie sie auf.",
    "password": "Sie hat ein Kennwort. Bitte schicken Sie sie ohne.",
    "no-text": "Sie enthält einen Scan, ein Bild oder eine Aufnahme, und hier kann das niemand lesen oder hören.",
    "no-table": "Die Spalten passen nicht: Einem Pflichtfeld fehlt die Spalte, oder die Tabelle gibt es nicht.",
    "too-many-errors": "Zu viele ihrer Zeilen passen nicht.",
    "gone": "Sie wurde inzwischen geändert oder entfernt. Bitte schicken Sie sie noch einmal.",
    "duplicate": "Dieselbe Datei wurde schon importiert. Sagen Sie es, wenn ich es noch einmal tun soll.",
    "template": "Die Vorlage ist unbekannt oder ergibt keinen Sinn. Ihr Betriebsteam kann sie in Ordnung bringen.",
    "money": "Die Grenze der erlaubten Kosten ist erreicht. Ihr Betriebsteam kann sie erhöhen.",
    "failed": "Auf unserer Seite ist etwas schiefgegangen. Ihr Betriebsteam sieht, was.",
    "row-missing": "ein Wert fehlt",
    "row-type": "der Wert ist von anderer Art, als er sein muss",
    "row-ambiguous": "der Wert kann auf zwei Arten gelesen werden",
    "row-constraint": "der Wert passt nicht zu den Regeln",
    "row-shape": "die Zeile ist anders aufgebaut als die übrigen",
    "row-evidence": "das steht nicht im Dokument",
    "row-unreadable": "nicht lesbar",
}
_FRENCH: dict[_Reason, str] = {
    "unreadable": "Il est vide, endommagé ou d'un type que je n'importe pas.",
    "too-large": "Il est trop volumineux, ou plus grand à l'intérieur qu'il ne peut l'être. Veuillez le diviser.",
    "password": "Il a un mot de passe. Veuillez l'envoyer sans.",
    "no-text": "Il contient une numérisation, une image ou un enregistrement que personne ici ne peut lire ou écouter.",
    "no-table": "Ses colonnes ne conviennent pas : il manque celle d'un champ obligatoire, ou le tableau n'existe pas.",
    "too-many-errors": "Trop de ses lignes ne conviennent pas.",
    "gone": "Il a été modifié ou supprimé entre-temps. Veuillez l'envoyer à nouveau.",
    "duplicate": "Le même fichier a déjà été importé. Dites-le-moi si je dois recommencer.",
    "template": "Le modèle est inconnu ou n'a pas de sens. Votre équipe d'exploitation peut le corriger.",
    "money": "La limite de ce que cela peut coûter est atteinte. Votre équipe d'exploitation peut l'augmenter.",
    "failed": "Un problème est survenu de notre côté. Votre équipe d'exploitation peut voir lequel.",
    "row-missing": "une valeur manque",
    "row-type": "la valeur n'est pas du type attendu",
    "row-ambiguous": "la valeur peut se lire de deux façons",
    "row-constraint": "la valeur ne respecte pas les règles",
    "row-shape": "la ligne n'a pas la même forme que les autres",
    "row-evidence": "cela ne figure pas dans le document",
    "row-unreadable": "illisible",
}
_SPANISH: dict[_Reason, str] = {
    "unreadable": "Está vacío, dañado o es de un tipo que no importo.",
    "too-large": "Es demasiado grande, o más grande por dentro de lo permitido. Divídalo, por favor.",
    "password": "Tiene contraseña. Envíelo sin ella, por favor.",
    "no-text": "Contiene un escaneo, una imagen o una grabación que aquí nadie puede leer ni escuchar.",
    "no-table": "Sus columnas no encajan: falta la columna de un campo obligatorio o no existe la tabla.",
    "too-many-errors": "Demasiadas de sus filas no encajan.",
    "gone": "Se cambió o se eliminó entretanto. Envíelo de nuevo, por favor.",
    "duplicate": "El mismo archivo ya se importó. Dígame si debo hacerlo otra vez.",
    "template": "La plantilla no existe o no tiene sentido. Su equipo de operaciones puede arreglarla.",
    "money": "Se ha alcanzado el límite de lo que puede costar. Su equipo de operaciones puede aumentarlo.",
    "failed": "Algo ha fallado por nuestra parte. Su equipo de operaciones puede ver qué.",
    "row-missing": "falta un valor",
    "row-type": "el valor no es del tipo que debe ser",
    "row-ambiguous": "el valor se puede leer de dos maneras",
    "row-constraint": "el valor no cumple las reglas",
    "row-shape": "la fila tiene otra forma que las demás",
    "row-evidence": "no consta en el documento",
    "row-unreadable": "no se puede leer",
}
_PORTUGUESE: dict[_Reason, str] = {
    "unreadable": "Está vazio, danificado ou é de um tipo que não importo.",
    "too-large": "É grande demais, ou maior por dentro do que pode ser. Divida-o, por favor.",
    "password": "Tem senha. Envie-o sem ela, por favor.",
    "no-text": "Contém uma digitalização, uma imagem ou uma gravação que ninguém aqui consegue ler ou ouvir.",
    "no-table": "As colunas não servem: falta a coluna de um campo obrigatório ou a tabela não existe.",
    "too-many-errors": "Linhas demais não servem.",
    "gone": "Foi alterado ou removido entretanto. Envie-o novamente, por favor.",
    "duplicate": "O mesmo arquivo já foi importado. Diga se devo fazê-lo outra vez.",
    "template": "O modelo é desconhecido ou não faz sentido. A sua equipe de operações pode corrigi-lo.",
    "money": "O limite do que pode custar foi atingido. A sua equipe de operações pode aumentá-lo.",
    "failed": "Algo deu errado do nosso lado. A sua equipe de operações pode ver o quê.",
    "row-missing": "falta um valor",
    "row-type": "o valor é de outro tipo do que deve ser",
    "row-ambiguous": "o valor pode ser lido de duas maneiras",
    "row-constraint": "o valor não obedece às regras",
    "row-shape": "a linha tem outra forma que as demais",
    "row-evidence": "não consta no documento",
    "row-unreadable": "ilegível",
}
_JAPANESE: dict[_Reason, str] = {
    "unreadable": "空か、壊れているか、インポートできない種類のファイルです。",
    "too-large": "ファイルまたはその中身が大きすぎます。分割してください。",
    "password": "パスワードがかかっています。外してお送りください。",
    "no-text": "スキャン、画像または録音が含まれており、ここでは読み取れません。",
    "no-table": "列が合いません。必須項目の列がないか、表が見つかりません。",
    "too-many-errors": "合わない行が多すぎます。",
    "gone": "途中で変更または削除されました。もう一度お送りください。",
    "duplicate": "同じファイルは以前にインポートされています。やり直す場合はお知らせください。",
    "template": "テンプレートが存在しないか、正しくありません。運用チームが修正できます。",
    "money": "費用の上限に達しました。運用チームが引き上げられます。",
    "failed": "当方で問題が発生しました。理由は運用チームが確認できます。",
    "row-missing": "値がありません",
    "row-type": "値の種類が違います",
    "row-ambiguous": "値が二通りに読めます",
    "row-constraint": "値が規則に合いません",
    "row-shape": "行の形が他の行と違います",
    "row-evidence": "文書の中に見つかりません",
    "row-unreadable": "読み取れません",
}
_TEXTS = {"en": _ENGLISH, "de": _GERMAN, "fr": _FRENCH, "es": _SPANISH, "pt": _PORTUGUESE, "ja": _JAPANESE}


def explain_file(code: str | None, language: str | None = None) -> str:
    """Why a file was not imported, and what to do; a code that nobody can do anything about is our fault."""
    return _TEXTS.get(primary(language), _ENGLISH)[_FILES.get(code or "", "failed")]


def explain_row(code: str, language: str | None = None) -> str:
    """What is wrong with a row."""
    return _TEXTS.get(primary(language), _ENGLISH)[_ROWS.get(code, "row-unreadable")]

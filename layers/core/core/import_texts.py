"""The words in which a conversation is told of an import, in six languages; names and numbers take the braces."""

from typing import Literal

type Said = Literal[
    "done",
    "done-partly",
    "failed",
    "canceled",
    "looked",
    "review",
    "fields",
    "questions",
    "unanswered",
    "answer-how",
    "approve",
    "cancel",
    "approved",
    "canceled-by",
    "review-over",
    "problems",
    "row",
    "row-column",
    "result",
    "rejects",
    "link-time",
    "handed-over",
    "not-handed-over",
    "notes",
]

_ENGLISH = {
    "done": "**Imported:** {file}, {rows} rows.",
    "done-partly": "**Imported in part:** {file}. {rows} rows are good, {rejected} are not.",
    "failed": "**Not imported:** {file}. {why}",
    "canceled": "**Canceled:** the import of {file}.",
    "looked": "**Only looked at:** {file}. Nothing was written.",
    "review": "**Please look before I import** {file}.",
    "fields": "Its columns become these fields:",
    "questions": "Only you can know this:",
    "unanswered": "If you approve without an answer, values that can be read in two ways are rejected.",
    "answer-how": "To answer, ask your operations team for `imports approve {id} --answer QUESTION=ANSWER`.",
    "approve": "Import",
    "cancel": "Cancel",
    "approved": "{person} let the import of {file} go on.",
    "canceled-by": "{person} canceled the import of {file}.",
    "review-over": "The review of {file} is over.",
    "problems": "The first problems:",
    "row": "Row {row}: {problem}",
    "row-column": "Row {row}, {column}: {problem}",
    "result": "Result",
    "rejects": "Rejected rows",
    "link-time": "Links work for one hour.",
    "handed-over": "Your company's system took it as {id}.",
    "not-handed-over": (
        "The result is good, but your company's system did not take it. Your operations team can see why."
    ),
    "notes": "Also:",
}
_GERMAN = {
    "done": "**Importiert:** {file}, {rows} Zeilen.",
    "done-partly": "**Zum Teil importiert:** {file}. {rows} Zeilen sind gut, {rejected} nicht.",
    "failed": "**Nicht importiert:** {file}. {why}",
    "canceled": "**Abgebrochen:** der Import von {file}.",
    "looked": "**Nur angesehen:** {file}. Es wurde nichts geschrieben.",
    "review": "**Bitte ansehen, bevor ich importiere:** {file}.",
    "fields": "Aus den Spalten werden diese Felder:",
    "questions": "Das können nur Sie wissen:",
    "unanswered": "Wenn Sie ohne Antwort zustimmen, werden Werte abgewiesen, die man auf zwei Arten lesen kann.",
    "answer-how": "Für eine Antwort bitten Sie Ihr Betriebsteam um `imports approve {id} --answer FRAGE=ANTWORT`.",
    "approve": "Importieren",
    "cancel": "Abbrechen",
    "approved": "{person} hat den Import von {file} weiterlaufen lassen.",
    "canceled-by": "{person} hat den Import von {file} abgebrochen.",
    "review-over": "Die Durchsicht von {file} ist beendet.",
    "problems": "Die ersten Probleme:",
    "row": "Zeile {row}: {problem}",
    "row-column": "Zeile {row}, {column}: {problem}",
    "result": "Ergebnis",
    "rejects": "Abgewiesene Zeilen",
    "link-time": "Die Links gelten eine Stunde.",
    "handed-over": "Das System Ihres Unternehmens hat es als {id} übernommen.",
    "not-handed-over": (
        "Das Ergebnis ist gut, aber das System Ihres Unternehmens hat es nicht übernommen. "
        "Ihr Betriebsteam sieht, warum."
    ),
    "notes": "Außerdem:",
}
_FRENCH = {
    "done": "**Importé :** {file}, {rows} lignes.",
    "done-partly": "**Importé en partie :** {file}. {rows} lignes sont bonnes, {rejected} ne le sont pas.",
    "failed": "**Non importé :** {file}. {why}",
    "canceled": "**Annulé :** l'import de {file}.",
    "looked": "**Seulement examiné :** {file}. Rien n'a été écrit.",
    "review": "**À vérifier avant que j'importe** {file}.",
    "fields": "Ses colonnes deviennent ces champs :",
    "questions": "Vous seul pouvez le savoir :",
    "unanswered": "Si vous approuvez sans répondre, les valeurs lisibles de deux façons sont rejetées.",
    "answer-how": (
        "Pour répondre, demandez à votre équipe d'exploitation `imports approve {id} --answer QUESTION=RÉPONSE`."
    ),
    "approve": "Importer",
    "cancel": "Annuler",
    "approved": "{person} a laissé l'import de {file} se poursuivre.",
    "canceled-by": "{person} a annulé l'import de {file}.",
    "review-over": "La vérification de {file} est terminée.",
    "problems": "Les premiers problèmes :",
    "row": "Ligne {row} : {problem}",
    "row-column": "Ligne {row}, {column} : {problem}",
    "result": "Résultat",
    "rejects": "Lignes rejetées",
    "link-time": "Les liens fonctionnent pendant une heure.",
    "handed-over": "Le système de votre entreprise l'a repris sous {id}.",
    "not-handed-over": (
        "Le résultat est bon, mais le système de votre entreprise ne l'a pas repris. "
        "Votre équipe d'exploitation peut voir pourquoi."
    ),
    "notes": "De plus :",
}
_SPANISH = {
    "done": "**Importado:** {file}, {rows} filas.",
    "done-partly": "**Importado en parte:** {file}. {rows} filas son correctas, {rejected} no.",
    "failed": "**No importado:** {file}. {why}",
    "canceled": "**Cancelada:** la importación de {file}.",
    "looked": "**Solo revisado:** {file}. No se ha escrito nada.",
    "review": "**Revíselo antes de que importe** {file}.",
    "fields": "Sus columnas se convierten en estos campos:",
    "questions": "Esto solo lo puede saber usted:",
    "unanswered": "Si aprueba sin responder, se rechazan los valores que se pueden leer de dos maneras.",
    "answer-how": "Para responder, pida a su equipo de operaciones `imports approve {id} --answer PREGUNTA=RESPUESTA`.",
    "approve": "Importar",
    "cancel": "Cancelar",
    "approved": "{person} dejó continuar la importación de {file}.",
    "canceled-by": "{person} canceló la importación de {file}.",
    "review-over": "La revisión de {file} ha terminado.",
    "problems": "Los primeros problemas:",
    "row": "Fila {row}: {problem}",
    "row-column": "Fila {row}, {column}: {problem}",
    "result": "Resultado",
    "rejects": "Filas rechazadas",
    "link-time": "Los enlaces funcionan durante una hora.",
    "handed-over": "El sistema de su empresa lo ha aceptado como {id}.",
    "not-handed-over": (
        "El resultado es correcto, pero el sistema de su empresa no lo ha aceptado. "
        "Su equipo de operaciones puede ver por qué."
    ),
    "notes": "Además:",
}
_PORTUGUESE = {
    "done": "**Importado:** {file}, {rows} linhas.",
    "done-partly": "**Importado em parte:** {file}. {rows} linhas estão boas, {rejected} não.",
    "failed": "**Não importado:** {file}. {why}",
    "canceled": "**Cancelada:** a importação de {file}.",
    "looked": "**Apenas examinado:** {file}. Nada foi gravado.",
    "review": "**Verifique antes que eu importe** {file}.",
    "fields": "As colunas tornam-se estes campos:",
    "questions": "Só você pode saber isto:",
    "unanswered": "Se aprovar sem responder, os valores que podem ser lidos de duas maneiras são rejeitados.",
    "answer-how": "Para responder, peça à sua equipe de operações `imports approve {id} --answer PERGUNTA=RESPOSTA`.",
    "approve": "Importar",
    "cancel": "Cancelar",
    "approved": "{person} deixou a importação de {file} continuar.",
    "canceled-by": "{person} cancelou a importação de {file}.",
    "review-over": "A verificação de {file} terminou.",
    "problems": "Os primeiros problemas:",
    "row": "Linha {row}: {problem}",
    "row-column": "Linha {row}, {column}: {problem}",
    "result": "Resultado",
    "rejects": "Linhas rejeitadas",
    "link-time": "Os links funcionam por uma hora.",
    "handed-over": "O sistema da sua empresa aceitou como {id}.",
    "not-handed-over": (
        "O resultado está bom, mas o sistema da sua empresa não o aceitou. A sua equipe de operações pode ver por quê."
    ),
    "notes": "Além disso:",
}
_JAPANESE = {
    "done": "**インポート完了:** {file}、{rows} 行。",
    "done-partly": "**一部インポート完了:** {file}。{rows} 行は正常、{rejected} 行は取り込めませんでした。",
    "failed": "**インポートできませんでした:** {file}。{why}",
    "canceled": "**中止:** {file} のインポート。",
    "looked": "**確認のみ:** {file}。何も書き込んでいません。",
    "review": "**インポートの前にご確認ください:** {file}。",
    "fields": "列は次の項目になります。",
    "questions": "次の点はご本人にしか分かりません。",
    "unanswered": "回答せずに承認すると、二通りに読める値は取り込まれません。",
    "answer-how": "回答するには、運用チームに `imports approve {id} --answer QUESTION=ANSWER` を依頼してください。",
    "approve": "インポート",
    "cancel": "中止",
    "approved": "{person}さんが {file} のインポートを続行しました。",
    "canceled-by": "{person}さんが {file} のインポートを中止しました。",
    "review-over": "{file} の確認は終了しました。",
    "problems": "最初の問題点:",
    "row": "{row} 行目: {problem}",
    "row-column": "{row} 行目、{column}: {problem}",
    "result": "結果",
    "rejects": "取り込めなかった行",
    "link-time": "リンクは1時間有効です。",
    "handed-over": "会社のシステムが {id} として受け付けました。",
    "not-handed-over": "結果は正常ですが、会社のシステムが受け付けませんでした。理由は運用チームが確認できます。",
    "notes": "その他:",
}
_TEXTS = {"en": _ENGLISH, "de": _GERMAN, "fr": _FRENCH, "es": _SPANISH, "pt": _PORTUGUESE, "ja": _JAPANESE}


def words(said: Said, language: str | None = None) -> str:
    """The words in `language`, a BCP 47 tag; in English where there are none in that language."""
    return _TEXTS.get(primary(language), _ENGLISH)[said]


def primary(language: str | None) -> str:
    """The language of a BCP 47 tag, without its region."""
    return (language or "en").replace("_", "-").split("-")[0].lower()

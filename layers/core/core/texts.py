"""What the assistant itself says to a person when there is no answer of the model to give, in the person's language."""

from typing import Literal

from core.models import STOPPED, UNDECIDED, Message

type Notice = Literal[
    "refusal",
    "cut",
    "stopped",
    "undecided",
    "nothing-to-stop",
    "approval",
    "approval-asked",
    "approval-others",
    "approve",
    "deny",
    "approved",
    "denied",
    "approval-canceled",
    "approval-expired",
    "not-yours",
    "waits-no-more",
    "withdrawn",
    "withheld",
    "new-conversation",
    "limit-user-day",
    "limit-company-month",
    "limit-turn-seconds",
]

_FALLBACK = "en"
_FAILED = "failed"

_ENGLISH = {
    "refusal": (
        "Hello! I only work for people in this company's directory, and I couldn't find you there. "
        "Please ask your operations team to add you; then write to me again."
    ),
    "cut": "\n\n_(The answer reached its length limit and stops here. Ask me to go on.)_",
    "stopped": "\n\n_(Stopped at your request.)_",
    "undecided": "\n\n_(Nobody decided in time, so I did not go on. Ask me again if it is still wanted.)_",
    "nothing-to-stop": "Nothing is being answered here any more.",
    "approval": "**May I do this?**",
    "approval-asked": "**{person} asks: may I do this?**",
    "approval-others": "{people} can decide this, too.",
    "approve": "Approve",
    "deny": "Deny",
    "approved": "Approved by {person}.",
    "denied": "Denied by {person}.",
    "approval-canceled": "**Not done**: this was stopped before anybody decided.",
    "approval-expired": "**Not done**: this can no longer be decided. Ask me again if it is still wanted.",
    "not-yours": "Only the person who asked, or a named approver, can decide this.",
    "waits-no-more": "All right: I wait no longer.",
    "withdrawn": "_(Your message was deleted, so I stopped answering it.)_",
    "withheld": "\n\n_(The model's content filter withheld the rest of this answer. You could ask in another way.)_",
    "new-conversation": "This is a new conversation: I start without what was said before.",
    "limit-user-day": "You have reached your limit for today. It starts anew at midnight UTC.",
    "limit-company-month": (
        "Your company has reached its limit for this month. Your operations team can raise it; "
        "otherwise it starts anew on the first of next month."
    ),
    "limit-turn-seconds": "This took longer than one answer may take, so I stopped. Please ask for less at once.",
    "failed": "Sorry, something went wrong and I couldn't answer this message. Please ask again.",
    "model-quota": "The language model's quota is used up, so I can't answer now. Your operations team can raise it.",
    "model-unauthorized": "I can't reach the language model: its key was refused. Please tell your operations team.",
    "model-unknown": "The configured language model doesn't exist. Please tell your operations team.",
    "context-too-long": "That is more text than the language model can take at once. Please send a shorter message.",
    "content-refused": "The language model declined to answer that. You could ask in another way.",
    "empty-answer": "The language model gave an empty answer. Please ask again, perhaps in other words.",
}
_GERMAN = {
    "refusal": (
        "Hallo! Ich arbeite nur für Personen aus dem Verzeichnis dieses Unternehmens und habe Sie dort nicht gefunden. "
        "Bitten Sie Ihr Betriebsteam, Sie aufzunehmen, und schreiben Sie mir dann noch einmal."
    ),
    "cut": "\n\n_(Die Antwort hat ihre Höchstlänge erreicht und endet hier. Bitten Sie mich, weiterzuschreiben.)_",
    "stopped": "\n\n_(Auf Ihren Wunsch angehalten.)_",
    "undecided": (
        "\n\n_(Niemand hat rechtzeitig entschieden, deshalb habe ich nicht weitergemacht. "
        "Fragen Sie mich noch einmal, wenn es noch gewünscht ist.)_"
    ),
    "nothing-to-stop": "Hier wird gerade nichts mehr beantwortet.",
    "approval": "**Darf ich das tun?**",
    "approval-asked": "**{person} fragt: Darf ich das tun?**",
    "approval-others": "Auch {people} kann darüber entscheiden.",
    "approve": "Genehmigen",
    "deny": "Ablehnen",
    "approved": "Genehmigt von {person}.",
    "denied": "Abgelehnt von {person}.",
    "approval-canceled": "**Nicht ausgeführt**: Es wurde angehalten, bevor jemand entschieden hat.",
    "approval-expired": (
        "**Nicht ausgeführt**: Darüber kann nicht mehr entschieden werden. Fragen Sie mich noch einmal, "
        "wenn es noch gewünscht ist."
    ),
    "not-yours": "Das kann nur entscheiden, wer gefragt hat oder als genehmigende Person genannt ist.",
    "waits-no-more": "In Ordnung: Ich warte nicht länger.",
    "withdrawn": "_(Ihre Nachricht wurde gelöscht, deshalb beantworte ich sie nicht weiter.)_",
    "withheld": (
        "\n\n_(Der Inhaltsfilter des Sprachmodells hat den Rest dieser Antwort zurückgehalten. "
        "Vielleicht fragen Sie auf andere Weise.)_"
    ),
    "new-conversation": "Das ist ein neues Gespräch: Ich beginne ohne das, was vorher gesagt wurde.",
    "limit-user-day": "Sie haben Ihr Limit für heute erreicht. Um Mitternacht (UTC) beginnt es von vorn.",
    "limit-company-month": (
        "Ihr Unternehmen hat sein Limit für diesen Monat erreicht. Ihr Betriebsteam kann es erhöhen; "
        "sonst beginnt es am Ersten des nächsten Monats von vorn."
    ),
    "limit-turn-seconds": (
        "Das dauerte länger, als eine Antwort dauern darf, deshalb habe ich aufgehört. "
        "Bitte fragen Sie nach weniger auf einmal."
    ),
    "failed": (
        "Leider ist etwas schiefgegangen, und ich konnte diese Nachricht nicht beantworten. "
        "Bitte fragen Sie noch einmal."
    ),
    "model-quota": (
        "Das Kontingent des Sprachmodells ist aufgebraucht, deshalb kann ich gerade nicht antworten. "
        "Ihr Betriebsteam kann es erhöhen."
    ),
    "model-unauthorized": (
        "Ich erreiche das Sprachmodell nicht: Sein Schlüssel wurde abgelehnt. "
        "Bitte sagen Sie Ihrem Betriebsteam Bescheid."
    ),
    "model-unknown": "Das eingestellte Sprachmodell gibt es nicht. Bitte sagen Sie Ihrem Betriebsteam Bescheid.",
    "context-too-long": (
        "Das ist mehr Text, als das Sprachmodell auf einmal lesen kann. Bitte schicken Sie eine kürzere Nachricht."
    ),
    "content-refused": "Das Sprachmodell wollte das nicht beantworten. Vielleicht fragen Sie auf andere Weise.",
    "empty-answer": (
        "Das Sprachmodell hat eine leere Antwort gegeben. Bitte fragen Sie noch einmal, vielleicht mit anderen Worten."
    ),
}
_FRENCH = {
    "refusal": (
        "Bonjour ! Je travaille uniquement pour les personnes de l'annuaire de cette entreprise, et je ne vous y ai "
        "pas trouvé. Demandez à votre équipe d'exploitation de vous ajouter, puis écrivez-moi à nouveau."
    ),
    "cut": "\n\n_(La réponse a atteint sa longueur maximale et s'arrête ici. Demandez-moi de continuer.)_",
    "stopped": "\n\n_(Arrêté à votre demande.)_",
    "undecided": (
        "\n\n_(Personne n'a décidé à temps, je n'ai donc pas continué. Redemandez-le-moi si c'est toujours souhaité.)_"
    ),
    "nothing-to-stop": "Plus aucune réponse n'est en cours ici.",
    "approval": "**Puis-je le faire ?**",
    "approval-asked": "**{person} demande : puis-je le faire ?**",
    "approval-others": "{people} peut aussi en décider.",
    "approve": "Approuver",
    "deny": "Refuser",
    "approved": "Approuvé par {person}.",
    "denied": "Refusé par {person}.",
    "approval-canceled": "**Non effectué** : arrêté avant toute décision.",
    "approval-expired": (
        "**Non effectué** : il n'est plus possible d'en décider. Redemandez-le-moi si c'est toujours souhaité."
    ),
    "not-yours": "Seule la personne qui a fait la demande, ou un approbateur désigné, peut en décider.",
    "waits-no-more": "D'accord : je n'attends plus.",
    "withdrawn": "_(Votre message a été supprimé, j'ai donc cessé d'y répondre.)_",
    "withheld": (
        "\n\n_(Le filtre de contenu du modèle a retenu la suite de cette réponse. Vous pouvez le demander autrement.)_"
    ),
    "new-conversation": "C'est une nouvelle conversation : je repars sans ce qui a été dit auparavant.",
    "limit-user-day": "Vous avez atteint votre limite pour aujourd'hui. Elle repart à zéro à minuit UTC.",
    "limit-company-month": (
        "Votre entreprise a atteint sa limite pour ce mois. Votre équipe d'exploitation peut l'augmenter ; "
        "sinon, elle repart à zéro le premier du mois prochain."
    ),
    "limit-turn-seconds": (
        "Cela prenait plus de temps qu'une réponse ne peut en prendre, je me suis donc arrêté. "
        "Veuillez demander moins à la fois."
    ),
    "failed": "Désolé, un problème est survenu et je n'ai pas pu répondre à ce message. Veuillez réessayer.",
    "model-quota": (
        "Le quota du modèle de langage est épuisé, je ne peux donc pas répondre maintenant. "
        "Votre équipe d'exploitation peut l'augmenter."
    ),
    "model-unauthorized": (
        "Je ne peux pas joindre le modèle de langage : sa clé a été refusée. "
        "Veuillez prévenir votre équipe d'exploitation."
    ),
    "model-unknown": "Le modèle de langage configuré n'existe pas. Veuillez prévenir votre équipe d'exploitation.",
    "context-too-long": (
        "C'est plus de texte que le modèle de langage ne peut en lire à la fois. "
        "Veuillez envoyer un message plus court."
    ),
    "content-refused": "Le modèle de langage a refusé de répondre à cela. Vous pouvez le demander autrement.",
    "empty-answer": "Le modèle de langage a donné une réponse vide. Veuillez redemander, peut-être avec d'autres mots.",
}
_SPANISH = {
    "refusal": (
        "¡Hola! Solo trabajo para las personas del directorio de esta empresa y no le he encontrado en él. "
        "Pida a su equipo de operaciones que le añada y escríbame de nuevo."
    ),
    "cut": "\n\n_(La respuesta ha alcanzado su longitud máxima y termina aquí. Pídame que continúe.)_",
    "stopped": "\n\n_(Detenido a petición suya.)_",
    "undecided": "\n\n_(Nadie decidió a tiempo, así que no continué. Pídamelo otra vez si todavía lo desea.)_",
    "nothing-to-stop": "Aquí ya no hay ninguna respuesta en curso.",
    "approval": "**¿Puedo hacerlo?**",
    "approval-asked": "**{person} pregunta: ¿puedo hacerlo?**",
    "approval-others": "También puede decidirlo {people}.",
    "approve": "Aprobar",
    "deny": "Rechazar",
    "approved": "Aprobado por {person}.",
    "denied": "Rechazado por {person}.",
    "approval-canceled": "**No se hizo**: se detuvo antes de que alguien decidiera.",
    "approval-expired": "**No se hizo**: ya no se puede decidir. Pídamelo otra vez si todavía lo desea.",
    "not-yours": "Solo puede decidirlo quien lo pidió o una persona aprobadora designada.",
    "waits-no-more": "De acuerdo: ya no espero más.",
    "withdrawn": "_(Su mensaje se ha eliminado, por lo que he dejado de responderlo.)_",
    "withheld": (
        "\n\n_(El filtro de contenido del modelo ha retenido el resto de esta respuesta. "
        "Puede preguntarlo de otra manera.)_"
    ),
    "new-conversation": "Esta es una conversación nueva: empiezo sin lo que se dijo antes.",
    "limit-user-day": "Ha alcanzado su límite de hoy. Vuelve a empezar a medianoche (UTC).",
    "limit-company-month": (
        "Su empresa ha alcanzado su límite de este mes. Su equipo de operaciones puede aumentarlo; "
        "si no, vuelve a empezar el primer día del mes próximo."
    ),
    "limit-turn-seconds": (
        "Esto tardaba más de lo que puede tardar una respuesta, así que me he detenido. Pida menos de una vez."
    ),
    "failed": "Lo siento, algo ha fallado y no he podido responder a este mensaje. Pregunte de nuevo, por favor.",
    "model-quota": (
        "La cuota del modelo de lenguaje se ha agotado, por lo que no puedo responder ahora. "
        "Su equipo de operaciones puede aumentarla."
    ),
    "model-unauthorized": (
        "No puedo acceder al modelo de lenguaje: su clave ha sido rechazada. "
        "Avise a su equipo de operaciones, por favor."
    ),
    "model-unknown": "El modelo de lenguaje configurado no existe. Avise a su equipo de operaciones, por favor.",
    "context-too-long": (
        "Es más texto del que el modelo de lenguaje puede leer de una vez. Envíe un mensaje más corto, por favor."
    ),
    "content-refused": "El modelo de lenguaje no ha querido responder a eso. Puede preguntarlo de otra manera.",
    "empty-answer": (
        "El modelo de lenguaje ha dado una respuesta vacía. Pregunte de nuevo, por favor, quizá con otras palabras."
    ),
}
_PORTUGUESE = {
    "refusal": (
        "Olá! Trabalho apenas para as pessoas do diretório desta empresa e não encontrei você nele. "
        "Peça à sua equipe de operações que adicione você e escreva para mim novamente."
    ),
    "cut": "\n\n_(A resposta atingiu o tamanho máximo e termina aqui. Peça que eu continue.)_",
    "stopped": "\n\n_(Interrompido a seu pedido.)_",
    "undecided": "\n\n_(Ninguém decidiu a tempo, por isso não continuei. Peça-me outra vez se ainda o desejar.)_",
    "nothing-to-stop": "Já não há nenhuma resposta em andamento aqui.",
    "approval": "**Posso fazer isto?**",
    "approval-asked": "**{person} pergunta: posso fazer isto?**",
    "approval-others": "{people} também pode decidir isto.",
    "approve": "Aprovar",
    "deny": "Recusar",
    "approved": "Aprovado por {person}.",
    "denied": "Recusado por {person}.",
    "approval-canceled": "**Não feito**: foi interrompido antes que alguém decidisse.",
    "approval-expired": "**Não feito**: já não é possível decidir. Peça-me outra vez se ainda o desejar.",
    "not-yours": "Só quem pediu, ou um aprovador designado, pode decidir isto.",
    "waits-no-more": "Certo: já não espero mais.",
    "withdrawn": "_(Sua mensagem foi excluída, por isso parei de respondê-la.)_",
    "withheld": (
        "\n\n_(O filtro de conteúdo do modelo reteve o restante desta resposta. Pode perguntar de outra maneira.)_"
    ),
    "new-conversation": "Esta é uma conversa nova: começo sem o que foi dito antes.",
    "limit-user-day": "Você atingiu o seu limite de hoje. Ele recomeça à meia-noite (UTC).",
    "limit-company-month": (
        "A sua empresa atingiu o limite deste mês. A sua equipe de operações pode aumentá-lo; "
        "caso contrário, ele recomeça no primeiro dia do próximo mês."
    ),
    "limit-turn-seconds": (
        "Isso demorava mais do que uma resposta pode demorar, por isso parei. Peça menos de cada vez, por favor."
    ),
    "failed": "Desculpe, algo deu errado e não consegui responder a esta mensagem. Pergunte novamente, por favor.",
    "model-quota": (
        "A cota do modelo de linguagem acabou, por isso não posso responder agora. "
        "A sua equipe de operações pode aumentá-la."
    ),
    "model-unauthorized": (
        "Não consigo acessar o modelo de linguagem: a chave dele foi recusada. "
        "Avise a sua equipe de operações, por favor."
    ),
    "model-unknown": "O modelo de linguagem configurado não existe. Avise a sua equipe de operações, por favor.",
    "context-too-long": (
        "É mais texto do que o modelo de linguagem consegue ler de uma vez. Envie uma mensagem mais curta, por favor."
    ),
    "content-refused": "O modelo de linguagem não quis responder a isso. Você pode perguntar de outra forma.",
    "empty-answer": (
        "O modelo de linguagem deu uma resposta vazia. Pergunte novamente, por favor, talvez com outras palavras."
    ),
}
_JAPANESE = {
    "refusal": (
        "こんにちは。私はこの会社のディレクトリに登録されている方のみを担当しており、お客様の登録が見つかりませんでした。"
        "運用チームに登録を依頼してから、もう一度メッセージをお送りください。"
    ),
    "cut": "\n\n_(回答が長さの上限に達したため、ここで終わります。続きが必要な場合はお知らせください。)_",
    "stopped": "\n\n_(ご要望により停止しました。)_",
    "undecided": "\n\n_(期限までに決定がなかったため、続行しませんでした。必要であればもう一度お尋ねください。)_",
    "nothing-to-stop": "ここで進行中の回答はもうありません。",
    "approval": "**実行してもよろしいですか?**",
    "approval-asked": "**{person}さんからの依頼です。実行してもよろしいですか?**",
    "approval-others": "{people}さんも決定できます。",
    "approve": "承認",
    "deny": "拒否",
    "approved": "{person}さんが承認しました。",
    "denied": "{person}さんが拒否しました。",
    "approval-canceled": "**実行していません**。決定の前に停止されました。",
    "approval-expired": "**実行していません**。この件はもう決定できません。必要であればもう一度お尋ねください。",
    "not-yours": "これを決定できるのは、依頼した本人または指定された承認者だけです。",
    "waits-no-more": "承知しました。これ以上お待ちしません。",
    "withdrawn": "_(メッセージが削除されたため、回答を中止しました。)_",
    "withheld": (
        "\n\n_(言語モデルのコンテンツフィルターにより、回答の続きは表示されません。別の聞き方をお試しください。)_"
    ),
    "new-conversation": "新しい会話です。これまでの内容を引き継がずに始めます。",
    "limit-user-day": "本日の利用上限に達しました。上限は協定世界時 (UTC) の午前 0 時にリセットされます。",
    "limit-company-month": (
        "会社の今月の利用上限に達しました。運用チームが上限を引き上げることができます。"
        "引き上げない場合は、来月 1 日にリセットされます。"
    ),
    "limit-turn-seconds": "1 回の回答で許される時間を超えたため、停止しました。一度に尋ねる内容を減らしてください。",
    "failed": "申し訳ありません。問題が発生し、このメッセージに回答できませんでした。もう一度お試しください。",
    "model-quota": (
        "言語モデルの利用枠を使い切ったため、現在回答できません。運用チームが利用枠を引き上げることができます。"
    ),
    "model-unauthorized": "言語モデルに接続できません。キーが拒否されました。運用チームにお知らせください。",
    "model-unknown": "設定されている言語モデルが存在しません。運用チームにお知らせください。",
    "context-too-long": "言語モデルが一度に扱えるテキスト量を超えています。もっと短いメッセージをお送りください。",
    "content-refused": "言語モデルがこの内容への回答を控えました。別の聞き方をお試しください。",
    "empty-answer": "言語モデルの回答が空でした。別の言い方で、もう一度お試しください。",
}
_TEXTS = {"en": _ENGLISH, "de": _GERMAN, "fr": _FRENCH, "es": _SPANISH, "pt": _PORTUGUESE, "ja": _JAPANESE}


def explain_failure(code: str, language: str | None = None) -> str:
    """What a person is told when a turn ended for the reason `code`, a reached limit included."""
    texts = _texts_in(language)
    return texts.get(code, texts[_FAILED])


def say(notice: Notice, language: str | None = None) -> str:
    """The text of `notice` in `language`, a BCP 47 tag; in English where there is none in that language."""
    return _texts_in(language)[notice]


def _texts_in(language: str | None) -> dict[str, str]:
    primary = (language or _FALLBACK).replace("_", "-").split("-")[0].lower()
    return _TEXTS.get(primary, _ENGLISH)


def speak(reply: Message) -> str:
    """What a platform shows of a stored reply."""
    notices: dict[str | None, Notice] = {
        "length": "cut",
        STOPPED: "stopped",
        UNDECIDED: "undecided",
        "content_filter": "withheld",
    }
    notice = notices.get(reply.finish_reason)
    return reply.text + say(notice, reply.language) if notice else reply.text

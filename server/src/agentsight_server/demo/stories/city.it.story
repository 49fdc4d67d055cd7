# Città di Vrbograd in italiano.
@ street: Via dei Tigli || Riva Re Tomislav || Via della Stazione
@ no: 2..88
@ zone: 1 || 2
@ case: 2410..9880

== waste | Raccolta rifiuti
u: Quando passa la raccolta in {street}? || Che giorno ritirano la plastica, {street} {no}?
t: find_address {"street": "{street}", "number": {no}} => {"zone": {zone}, "found": true} ~150
t: waste_calendar {"zone": {zone}} => {"mixed": "{isodate}", "paper": "{isodate}"} ~190
a: Lei è nella **zona {zone}**: la prossima raccolta è **{day} {date}**, dalle 6:00.

== school | Iscrizione alla scuola italiana
u: Come si iscrive un bambino alla scuola italiana? || Quando aprono le iscrizioni alla scuola italiana?
t: search_documents {"query": "iscrizione scuola italiana"} => {"hits": 2, "best": "Iscrizioni"} ~260
a: Le iscrizioni sono aperte dal **2 al 13 maggio**. Servono il certificato di nascita e un documento dei genitori.

== _hello
a: Buongiorno! Sono Vrba, l'assistente digitale della Città di Vrbograd.
== _also
u: Un'altra domanda
== _thanks
u: Grazie! || Molto gentile, grazie
a: Prego, buona giornata!
== _helpful
a: La risposta è stata utile?
b: after_chat | Sì=yes*5 | No=no*2
== _retry
a: Il sistema non risponde, riprovo.
== _failed
a: Purtroppo il sistema non è disponibile. Un impiegato la contatterà il prossimo giorno lavorativo.
== _handover
u: Vorrei parlare con un impiegato
a: Certo, la metto in contatto con l'ufficio.
== _good
- Bravissimi
== _neutral
- Così così
== _bad
- Non mi ha risposto

# Hotel Adria in italiano.
@ room: 204 || 307 || 315 || 402
@ fee: 25 || 30
@ nights: 2..5
@ adults: 2..4
@ island: Hvar || Brač || Vis
@ hour: 13:00 || 14:00
@ dinner: 20:00 || 20:30 || 21:00

== late_checkout | Check-out posticipato
u: Buongiorno, possiamo fare il check-out un po' più tardi {day}? || È possibile lasciare la camera {room} alle {hour}? || Salve, il nostro volo parte la sera, possiamo tenere la camera?
t: check_availability {"room": {room}, "date": "{isodate}", "until": "{hour}"} => {"available": true, "fee_eur": {fee}} ~180
a: Certo! La camera {room} è libera fino alle **{hour}** con un supplemento di **{fee} €**. Confermo? || Sì, fino alle **{hour}** per **{fee} €**, piscina inclusa. Vuole che la prenoti?
b: late_checkout | Sì, grazie=yes*5 | No, grazie=no*2
(yes) t: book_late_checkout {"room": {room}, "date": "{isodate}", "until": "{hour}"} => {"confirmed": true} ~320
(yes) a: Fatto! L'importo è sul conto della camera.
(no) a: Nessun problema. Il check-out è alle 11:00 e i bagagli li teniamo noi.

== ferry | Traghetto per {island}
u: A che ora partono i traghetti per {island}? || Come si arriva a {island} {day}? || Vorremmo fare una gita a {island}, ci sono catamarani?
t: ferry_timetable {"from": "Split", "to": "{island}", "date": "{isodate}"} => {"departures": ["07:30", "10:00", "14:15"], "operator": "Jadrolinija"} ~290
a: Ecco le partenze per **{island}**:\n\n| Da Spalato | Arrivo | |\n|---|---|---|\n| 07:30 | 08:35 | catamarano |\n| 10:00 | 11:50 | traghetto |\n| 14:15 | 15:20 | catamarano |\n\nD'estate conviene comprare i biglietti il giorno prima.
?50
u: E l'ultimo per tornare?
a: L'ultimo parte alle 20:45.
?.

== restaurant | Cena
u: Ci consiglia un ristorante di pesce? || Dove si mangia bene qui vicino? || Un posto tranquillo per cena, siamo in {adults}
t: search_places {"query": "ristorante di pesce", "max_walk_minutes": 12} => {"results": ["Konoba Fetivi", "Bokeria"], "count": 2} ~230
a: La **Konoba Fetivi** è la preferita del nostro team: pesce alla griglia, a 6 minuti a piedi. Prenoto un tavolo?
u: Sì, per {adults} alle {dinner} || Perfetto, alle {dinner}
t: book_table {"restaurant": "Konoba Fetivi", "people": {adults}, "time": "{dinner}"} => {"confirmed": true, "reference": "{code}"} ~680
a: Prenotato per le **{dinner}**. Buon appetito!

== breakfast | Colazione
u: A che ora è la colazione? || La colazione è inclusa? || Avete prodotti senza glutine a colazione?
a: La colazione è inclusa, dalle **6:30 alle 10:30** (nel fine settimana fino alle 11:00), in terrazza. Il pane senza glutine lo prepariamo fresco ogni mattina.

== _hello
a: Benvenuti all'Hotel Adria! Sono Marina, come posso aiutarvi?
== _also
u: Un'altra cosa || Ah, ancora una domanda
== _thanks
u: Grazie mille! || Perfetto, grazie
a: Prego, buon soggiorno! || È un piacere. Buona giornata!
== _helpful
a: Sono stata utile?
b: after_chat | Sì=yes*6 | No=no
== _retry
a: Il sistema è lento, riprovo subito.
== _failed
a: Mi dispiace, il sistema di prenotazione non risponde. La reception vi scriverà entro un'ora.
== _handover
u: Posso parlare con una persona? || Vorrei parlare con la reception
a: Certo, vi passo la reception.
== _good
- Velocissima e gentile
- Ottimo servizio
== _neutral
- Va bene
== _bad
- Non ha capito la domanda

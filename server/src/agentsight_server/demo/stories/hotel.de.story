# Hotel Adria auf Deutsch.
@ room: 204 || 211 || 307 || 315 || 402 || 418
@ guest: Frau Berger || Herr Wagner || Frau Huber || Herr Keller || Frau Schmid
@ fee: 25 || 30 || 35
@ nights: 2..7
@ adults: 2..4
@ island: Hvar || Brač || Vis
@ hour: 13:00 || 14:00 || 15:00
@ dinner: 19:00 || 19:30 || 20:00
@ ticket: 4100..4990

== late_checkout | Später auschecken
u: Guten Morgen, könnten wir am {day} etwas später auschecken? || Ist ein Late Check-out am {day} möglich? Zimmer {room} || Hallo, unser Flug geht erst abends. Können wir das Zimmer länger behalten?
t: check_availability {"room": {room}, "date": "{isodate}", "until": "{hour}"} => {"available": true, "fee_eur": {fee}} ~180
a: Ja, das geht: Zimmer {room} ist am {day} bis **{hour} Uhr** frei. Der späte Check-out kostet **{fee} €**. Soll ich ihn buchen? || Gerne! Bis **{hour} Uhr** für **{fee} €**, Pool inklusive. Darf ich das bestätigen?
b: late_checkout | Ja, bitte=yes*5 | Nein, danke=no*2
(yes) t: book_late_checkout {"room": {room}, "date": "{isodate}", "until": "{hour}"} => {"confirmed": true, "charged_to_room": {fee}} ~320
(yes) a: Erledigt. Die {fee} € stehen auf Ihrer Zimmerrechnung. Genießen Sie die zusätzlichen Stunden! || Gebucht! Zimmer {room} gehört Ihnen bis {hour} Uhr.
(no) a: Kein Problem. Check-out ist dann um 11:00 Uhr, Ihr Gepäck bewahren wir gern auf.

== parking | Parken
u: Haben Sie Parkplätze? || Was kostet das Parken pro Tag? || Wir kommen mit dem Auto, wo können wir parken?
a: Ja, unsere Garage ist 200 m entfernt:\n\n- **Tag:** 18 €\n- **Woche:** 95 €\n- **Laden (22 kW):** 0,35 € pro kWh\n\nIm Sommer ist es schnell voll. Soll ich einen Platz reservieren? || Wir haben eine Garage für Gäste, **18 € pro Tag**. Ich kann Ihnen gleich einen Platz reservieren.
u: Ja bitte, ab {day} für {nights} Nächte || Gerne, {nights} Nächte ab {date}
t: reserve_parking {"from": "{isodate}", "nights": {nights}} => {"reserved": true, "space": "B{room}", "total_eur": {nights*18}} ~260
a: Platz **B{room}** ist für Sie reserviert, {nights} Nächte, zusammen **{nights*18} €**. Die Schranke öffnet mit der Zimmerkarte.

== ferry | Fähre nach {island}
u: Wann fahren die Fähren nach {island}? || Wie kommen wir am {day} am besten nach {island}? || Gibt es einen Katamaran nach {island}?
t: ferry_timetable {"from": "Split", "to": "{island}", "date": "{isodate}"} => {"departures": ["07:30", "10:00", "14:15"], "operator": "Jadrolinija"} ~290
a: Am {day} fahren diese Schiffe nach **{island}**:\n\n| Ab Split | An | Schiff |\n|---|---|---|\n| 07:30 | 08:35 | Katamaran |\n| 10:00 | 11:50 | Autofähre |\n| 14:15 | 15:20 | Katamaran |\n\nKatamarane sind im Sommer oft ausverkauft, kaufen Sie die Karten am besten am Vortag.
?60
u: Und wann fährt das letzte zurück? || Kann man das Auto mitnehmen?
a=: Das letzte Schiff zurück geht um 20:45 Uhr. || Ja, auf der Autofähre. Bitte seien Sie 45 Minuten vorher am Hafen.
?.

== breakfast | Frühstück
u: Wann gibt es Frühstück? || Ist das Frühstück inklusive? || Haben Sie laktosefreie Milch beim Frühstück?
a=: Auf der Terrasse von **6:30 bis 10:30 Uhr**, am Wochenende von **7:00 bis 11:00 Uhr**. || Ja, es ist inklusive. Wir servieren von **6:30 bis 10:30 Uhr**, samstags und sonntags bis 11:00 Uhr. || Ja, laktosefreie Milch, Hafer- und Mandelmilch stehen an der Bar. Frühstück gibt es von **6:30 bis 10:30 Uhr**.
?50
u: Wir fahren am {day} sehr früh los, geht auch ein Lunchpaket?
t: kitchen_order {"room": {room}, "date": "{isodate}", "order": "packed breakfast", "people": {adults}} => {"accepted": true, "ready": "04:45"} ~240
a: Natürlich. {adults} Lunchpakete liegen ab 4:45 Uhr für Sie an der Rezeption bereit.
?.

== room_problem | Klimaanlage Zimmer {room}
u: Die Klimaanlage in Zimmer {room} tropft || Unsere Klimaanlage kühlt nicht, Zimmer {room} || In {room} ist das WLAN sehr langsam und die Klimaanlage laut
?50
f: user image klimaanlage.png | Hier ein Foto
?.
a: Das tut mir leid. Ich schicke sofort jemanden. || Entschuldigen Sie bitte! Ich rufe unseren Techniker.
t: create_maintenance_ticket {"room": {room}, "problem": "Klimaanlage", "priority": "high"} => {"ticket": {ticket}, "technician": "Josip", "eta_minutes": 15} ~350
a: **Josip** ist in etwa **15 Minuten** bei Ihnen (Meldung {ticket}).

== restaurant | Restaurant für heute Abend
u: Können Sie ein Restaurant für heute Abend empfehlen? || Wo isst man hier gut Fisch? || Etwas Ruhiges für {adults} Personen heute Abend?
t: search_places {"query": "Fischrestaurant", "max_walk_minutes": 12} => {"results": ["Konoba Fetivi", "Villa Spiza"], "count": 2} ~230
a: Unser Team geht gern in die **Konoba Fetivi** (gegrillter Fisch, 6 Minuten zu Fuß) oder in die winzige **Villa Spiza**. Soll ich in der Konoba reservieren?
u: Ja, {dinner} Uhr für {adults} bitte || Gerne, um {dinner}
t: book_table {"restaurant": "Konoba Fetivi", "people": {adults}, "time": "{dinner}"} => {"confirmed": true, "reference": "{code}"} ~680
a: Reserviert: heute um **{dinner} Uhr**, {adults} Personen. Guten Appetit!

== wifi | WLAN
u: Wie ist das WLAN-Passwort? || Haben Sie WLAN im Zimmer? || Das Internet ist langsam in {room}
a: Hier sind die Daten:\n\n```\nNetz:     HotelAdria-Guest\nPasswort: bura-jugo-{room}\n```\nEs reicht bis zum Pool. Wenn es hakt: Netz einmal vergessen und neu verbinden.

== _hello
a: Grüß Gott! Ich bin Marina vom Hotel Adria. Wie kann ich helfen? || Willkommen im Hotel Adria! Was kann ich für Sie tun?
== _also
u: Noch eine Frage || Ach, und noch etwas
== _thanks
u: Vielen Dank! || Super, danke || Perfekt, danke schön
a: Sehr gerne. Schönen Aufenthalt! || Gern geschehen. Einen schönen Tag in Split!
== _helpful
a: Konnte ich Ihnen helfen?
b: after_chat | Ja=yes*6 | Nein=no
== _retry
a: Das System antwortet gerade langsam. Ich versuche es noch einmal.
== _failed
a: Es tut mir leid, unser Buchungssystem antwortet im Moment nicht. Die Rezeption meldet sich in der nächsten Stunde hier bei Ihnen. || Leider klappt das gerade nicht. Meine Kollegen an der Rezeption übernehmen.
== _handover
u: Kann ich bitte mit einem Menschen sprechen? || Ich möchte lieber mit der Rezeption sprechen
a: Selbstverständlich. Ich verbinde Sie mit der Rezeption. || Gerne, eine Kollegin übernimmt gleich.
== _joined
s: Ivana von der Rezeption ist dem Gespräch beigetreten.
== _good
- Sehr freundlich und schnell
- Hat sofort funktioniert
- Top!
== _neutral
- Ganz in Ordnung
== _bad
- Hat meine Frage nicht verstanden
- Zu langsam

# Hotel Adria, Split: the concierge in English. The notation is explained in play.py.
@ room: 204 || 211 || 307 || 315 || 402 || 418 || 506
@ guest: Emily || James || Priya || Oliver || Hannah || Lars || Sofie || Daniel || Aoife || Mateo
@ fee: 25 || 30 || 35
@ nights: 2..6
@ adults: 1..3
@ flight: OU417 || LH1412 || BA2650 || EW762 || FR5521
@ island: Hvar || Brač || Vis || Šolta
@ hour: 13:00 || 14:00 || 15:00
@ dinner: 19:00 || 19:30 || 20:00 || 20:30
@ ticket: 4100..4990

== late_checkout | Late check-out
u: Hi, can we check out a bit later on {day}? Our flight only leaves in the evening || Good morning! Is a late check-out possible on {day}? || hey, any chance to keep room {room} until {hour} on {day}
t: check_availability {"room": {room}, "date": "{isodate}", "until": "{hour}"} => {"available": true, "fee_eur": {fee}, "next_arrival": "18:00"} ~180
a: Good news: room {room} is free until **{hour}** on {day}. Late check-out is **€{fee}** and includes the pool until 18:00. Shall I book it for you? || That works! You can keep room **{room}** until **{hour}** on {day} for **€{fee}**. Would you like me to confirm it?
b: late_checkout | Yes, book it=yes*5 | No, thanks=no*2 | Ask me tomorrow=later
(yes) t: book_late_checkout {"room": {room}, "date": "{isodate}", "until": "{hour}"} => {"confirmed": true, "charged_to_room": {fee}} ~320
(yes) a: Done, room {room} is yours until {hour}. €{fee} goes on your room bill. || Confirmed! I've put the €{fee} on your room. Enjoy the extra hours.
(no) a: No problem. Check-out is at 11:00 then, and we are happy to keep your luggage as long as you like.
(later) a: Of course. I'll keep it open for you until tomorrow evening, just write to me.

== breakfast | Breakfast
u: What time is breakfast? || When and where is breakfast served? || is breakfast included in our rate? room {room}
?50
t: get_booking {"room": {room}} => {"guest": "{guest}", "board": "bed and breakfast", "nights": {nights}} ~140
?.
a: Breakfast is included in your stay:\n\n- **Monday to Friday** 6:30–10:30\n- **Weekends** 7:00–11:00\n\nIt is on the ground floor, on the terrace when the weather is kind. || It's included! We serve it from **6:30 to 10:30** (weekends **7:00 to 11:00**) in the restaurant on the ground floor.
u: Do you have gluten-free options? || And anything vegan? || Can we get a packed breakfast? We leave at 5 for the ferry
a=: Yes, just tell the team at the entrance. We bake gluten-free bread fresh every morning. || Plenty: oat and almond milk, a warm bean stew, and our baker makes vegan croissants at weekends. || Of course. The kitchen prepares it if I know by 21:00 the evening before. I have noted it for room {room}, it waits for you at the desk.

== parking | Parking
u: Do you have parking? || How much is parking at the hotel? || we're arriving by car, where can we park?
a: Yes. Our garage is 200 m away in *Domovinskog rata 12*.\n\n| | Price |\n|---|---|\n| Day | €18 |\n| Week | €95 |\n| Charging (22 kW) | €0.35 per kWh |\n\nSpaces are limited in summer, so I'd reserve one. || We have a garage for guests at **€18 a day** ([map](https://maps.example.com/hotel-adria-garage)). Would you like me to reserve a space?
u: Please reserve one from {day} for {nights} nights || yes please, {nights} nights from {date}
t: reserve_parking {"from": "{isodate}", "nights": {nights}, "plate": null} => {"reserved": true, "space": "B{room}", "total_eur": {nights*18}} ~260
a: Reserved: space **B{room}** from {date}, {nights} nights, **€{nights*18}** in total. The gate opens with your room card. || Your space is **B{room}**, {nights} nights, €{nights*18}. Safe travels!

== airport_transfer | Airport transfer
u: How do we get from the airport to the hotel? || Can you organise a pickup from Split airport on {day}? || need a transfer, landing {time} with {flight}
t: flight_status {"flight": "{flight}", "date": "{isodate}"} => {"flight": "{flight}", "status": "on time", "arrival": "{time}"} ~410
a: Your flight {flight} is expected at {time}. You have two good choices:\n\n1. **Our driver**: €45 per car, waits at arrivals with your name\n2. **Airport shuttle**: €8 per person, every 30 minutes to the bus station\n\nWhich one would you like? || I can see {flight} arriving at {time}. A private transfer is **€45** (up to 4 people), the shuttle bus is **€8** a person. What suits you?
b: transfer | Private transfer=private*4 | Shuttle bus=shuttle*3 | I'll take a taxi=taxi
(private) t: book_transfer {"flight": "{flight}", "date": "{isodate}", "people": {adults}} => {"booking": "{code}", "driver": "Ante", "phone": "+385 91 555 0134"} ~540
(private) a: Booked! **Ante** will wait for you at arrivals. Your reference is `{code}`.
(shuttle) a: Good choice. The bus stops in front of arrivals, tickets are sold on board. From the bus station it is a 7-minute walk along the harbour.
(taxi) a: All right. A taxi costs about €40–50; please ask for a receipt.

== restaurant | Dinner for tonight
u: Any good fish restaurant nearby? || Where should we eat tonight? || can you recommend something for dinner, not too touristy
t: search_places {"query": "fish restaurant", "max_walk_minutes": 12} => {"results": ["Konoba Fetivi", "Villa Spiza", "Bokeria"], "count": 3} ~230
a: Three that our own team likes:\n\n- **Konoba Fetivi**, grilled fish, 6 minutes on foot\n- **Villa Spiza**, tiny and loud, no reservations\n- **Bokeria**, wine and small plates\n\nShall I book a table? || My favourite is **Konoba Fetivi** in Veli Varoš: simple grilled fish, honest prices. I can book you a table if you like.
u: Fetivi sounds great. {adults} people at {dinner} please || Book Fetivi for {dinner} 🙏
t: book_table {"restaurant": "Konoba Fetivi", "people": {adults}, "time": "{dinner}"} => {"confirmed": true, "reference": "{code}"} ~680
a: Your table is booked for **{dinner}**. They hold it for 15 minutes. *Dobar tek!* || All set: {dinner} at Konoba Fetivi, reference `{code}`. Ask for the table by the wall.

== room_problem | Air conditioning in room {room}
u: The air conditioning in {room} is dripping || Hello, our AC doesn't cool at all, room {room} || there's water coming from the AC in our room!!
?60
f: user image air-conditioning.png | This is what it looks like || Here's a photo
?.
a: I'm sorry about that. I'm sending someone right away. || Oh no, that should not happen. Let me call our technician.
t: create_maintenance_ticket {"room": {room}, "problem": "air conditioning leaks", "priority": "high"} => {"ticket": {ticket}, "technician": "Josip", "eta_minutes": 15} ~350
a: **Josip** will be at room {room} within **15 minutes** (ticket {ticket}). If you would rather move to another room, tell me and I'll see what is free.
?50
u: He fixed it, thanks! || That was quick. All good now
a: I'm glad. As an apology there are two drinks waiting for you at the bar. || Wonderful. Thank you for your patience, the next two coffees are on us.
?.

== ferry | Ferry to {island}
u: When do ferries go to {island}? || what's the best way to get to {island} for a day? || Ferry times to {island} on {day} please
t: ferry_timetable {"from": "Split", "to": "{island}", "date": "{isodate}"} => {"departures": ["07:30", "10:00", "14:15", "18:30"], "operator": "Jadrolinija"} ~290
a: These boats go to **{island}** on {day}:\n\n| Leaves Split | Arrives | Boat |\n|---|---|---|\n| 07:30 | 08:35 | catamaran |\n| 10:00 | 11:50 | car ferry |\n| 14:15 | 15:20 | catamaran |\n| 18:30 | 20:20 | car ferry |\n\nCatamarans sell out in summer; buy the day before at the [ticket office](https://tickets.example.com/ferries).
?60
u: Is the 7:30 one too early for breakfast? || And the last one back?
a=: The breakfast room opens at 6:30, and the pier is a 9-minute walk. If you leave by 7:05 you will make it easily. || The last boat back leaves {island} at 20:45. If you miss it, call us and we will find you a bed.
?.

== spa | Massage
u: Can I book a massage for {day}? || what spa treatments do you have || My back hurts from the flight, is there a massage available on {day}?
t: search_spa {"date": "{isodate}"} => {"free": ["10:00", "{hour}", "17:30"], "treatments": ["relax 50 min", "sport 50 min", "lavender 80 min"]} ~210
a: On {day} these times are free: **10:00**, **{hour}** and **17:30**.\n\n- Relax, 50 min, €65\n- Sport, 50 min, €70\n- Lavender, 80 min, €95
u: Sport at {hour} please || The lavender one at {hour}, room {room}
t: book_spa {"room": {room}, "date": "{isodate}", "time": "{hour}"} => {"confirmed": true, "therapist": "Nina"} ~300
a: See you on {day} at {hour}. **Nina** will look after you; please come ten minutes early. || Booked with Nina on {day} at {hour}. Robe and slippers are in your wardrobe.

== change_booking | Change of booking {code}
u: I need to move my booking {code} to {date} || Can we stay one night longer? Booking {code} || hi, we'd like to change the dates of {code}
t: get_booking {"reference": "{code}"} => {"reference": "{code}", "guest": "{guest}", "room": "sea view double", "nights": {nights}} ~160
a: Thank you, {guest}. I found your booking: a sea view double, {nights} nights. Let me look at the calendar.
t: check_availability {"reference": "{code}", "arrival": "{isodate}", "nights": {nights}} => {"available": true, "difference_eur": {fee}} ~240
a: It's available. The difference is **€{fee}** in total. May I change it? || Yes, that is possible for **€{fee}** more. Shall I go ahead?
b: confirm_change | Change it=yes*5 | Keep it as it is=no
(yes) t: update_booking {"reference": "{code}", "arrival": "{isodate}", "nights": {nights}} => {"updated": true} ~430
(yes) a: Changed. You will get the new confirmation by e-mail in a minute.
(no) a: Understood, nothing has changed. Your booking stays as it was.

== wifi | Wi-Fi
u: What's the wifi password? || wifi? || The internet drops all the time in room {room}
a: Here you go:\n\n```\nNetwork:  HotelAdria-Guest\nPassword: bura-jugo-{room}\n```\nIt covers the rooms, the pool and the terrace. If it is slow, forget the network once and join again.
?40
u: works, thx || Is it fast enough for video calls?
a=: Great! || Yes, about 120 Mbit/s in the rooms. The quiet corner behind the bar is even faster.
?.

== _hello
a: Hello! I'm Marina, the concierge of Hotel Adria. How can I help? || Welcome to Hotel Adria 👋 What can I do for you?
== _also
u: One more thing || Oh, and another question || also
== _thanks
u: Thank you! || Perfect, thanks || great thx || Thanks a lot, Marina
a: You're welcome. Enjoy your stay! || My pleasure. Have a lovely day in Split! || Any time. See you soon!
== _helpful
a: Did I help you?
b: after_chat | Yes=yes*6 | No=no
== _retry
a: The system is slow right now. Let me try once more. || One moment, I didn't get an answer. Trying again.
== _failed
a: I'm sorry, our booking system isn't answering at the moment. I've passed your question on to the front desk; they will write to you here within the hour. || Sorry, something on our side is not working. My colleagues at reception will take it from here.
== _handover
u: Can I talk to a real person please? || I'd rather speak to someone at the reception || this isn't helping, a human please
a: Of course. I'm connecting you with reception, they have our whole conversation in front of them. || Sure, one moment. A colleague will take over.
== _joined
s: Ivana from reception has joined the conversation. || Reception has taken over.
== _good
- Super quick, better than calling
- Marina is brilliant
- Got what I needed in a minute
- Loved it
== _neutral
- (late_checkout) Okay, but I had to repeat the room number
- Fine
== _bad
- Didn't understand my question
- Too slow, ended up calling reception
- I just wanted a human

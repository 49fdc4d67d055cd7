# City of Vrbograd in English.
@ street: Lime Tree Street || Garden Street || King Tomislav Quay || Station Road
@ no: 2..88
@ zone: 1 || 2 || 3
@ case: 2410..9880

== waste | Waste collection
u: When is the rubbish collected in {street}? || which day is plastic collection at {street} {no} || I have an old fridge to get rid of
t: find_address {"street": "{street}", "number": {no}} => {"zone": {zone}, "found": true} ~150
t: waste_calendar {"zone": {zone}} => {"mixed": "{isodate}", "paper": "{isodate}"} ~190
a: Your address is in **zone {zone}**: the next collection is on **{day}, {date}** from 6:00. Bulky waste is picked up free once a year, on request.

== residence | Registering as a resident
u: I moved here from abroad, how do I register? || Do I need to register my address? EU citizen || which documents for temporary residence
t: search_documents {"query": "registration of residence"} => {"hits": 4, "best": "Guide for new residents"} ~260
a: EU citizens register at the police station within **8 days** after three months of stay. Bring:\n\n1. passport or identity card\n2. rental contract\n3. proof of health insurance\n4. proof of work, study or means\n\nThe city itself then gives you a waste and parking account. || Within eight days after your first three months. The [guide for new residents](https://grad.example.org/en/residents) lists everything.
?50
u: Can I do that online? || How much does it cost?
a=: The application starts online, but you have to come once to give your signature. || The certificate itself is €9.29.
?.

== parking_permit | Resident parking
u: How do I get a resident parking permit? || what does parking cost for residents in zone {zone} || I have a foreign plate, can I still get a permit
a: For residents of zone {zone} it is **€9.30 a month**. With a foreign plate you also need the rental or work contract. Shall I start the application?
b: permit | Start it=start*4 | Send me the form=form*2 | Not now=no
(start) t: create_case {"type": "parking permit", "zone": {zone}} => {"case": {case}, "days": 5} ~520
(start) a: Your application is number **{case}**. You will hear from us within 5 working days.
(form) f: agent document parking-form.pdf | Here is the form. Counter 4 takes it on any working day.
(no) a: All right, whenever you like.

== tourist | A day in Vrbograd
u: What is there to see in one day? || Is the castle open on {day}? || any events this weekend
t: search_events {"date": "{isodate}"} => {"hits": 3, "titles": ["Jazz on the quay", "Farmers' market", "Castle by night"]} ~240
a: On {day} you could do this:\n\n- **Farmers' market**, 8:00–13:00\n- **Castle**, 10:00–19:00, €6\n- **Jazz on the quay**, from 20:30, free

== _hello
a: Hello! I'm Vrba, the digital assistant of the City of Vrbograd.
== _also
u: One more question || And another thing
== _thanks
u: Thanks a lot! || Thank you
a: You're welcome. Have a nice day!
== _helpful
a: Was this answer useful?
b: after_chat | Yes=yes*5 | No=no*2
== _retry
a: The system does not answer, I'll try once more.
== _failed
a: I'm sorry, the city's system is not available right now. An officer will contact you on the next working day.
== _handover
u: Can I talk to an officer? || I'd like a phone number please
a: Of course, I'm passing you on. Office hours are 7:30 to 15:30.
== _good
- (residence) Very helpful for newcomers
- Quick and clear
- Great that it speaks English
== _neutral
- ok
== _bad
- The answer was about something else

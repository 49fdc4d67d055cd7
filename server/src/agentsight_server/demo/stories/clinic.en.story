# Clínica Mirador's voice line in English. Spoken: no Markdown.
@ patient: Sarah Collins || Tom Becker || Ingrid Dahl || Michael O'Brien || Anna Visser
@ doctor: Dr Vidal || Dr Romero || Dr Sanz
@ spec: dermatology || orthopaedics || general medicine || ophthalmology
@ dob: 1961-04-12 || 1978-11-03 || 1985-07-22 || 1992-02-15
@ insurer: Sanitas || DKV || Bupa || Cigna
@ ticket: 1200..1990

== book | Appointment, {spec}
u: Hello, I'd like to make an appointment for {spec} || hi, can I see {doctor} this week? || Yes, um, I need an appointment, {spec}
a: Certainly. May I have your full name and date of birth?
u: {patient}, {dob} || It's {patient}
t: find_patient {"name": "{patient}", "birth_date": "{dob}"} => {"patient_id": "P-{ticket}", "insurer": "{insurer}"} ~240
t: free_appointments {"specialty": "{spec}", "from": "{isodate}"} => {"slots": ["{isodate} {time}"]} ~610
a: The first free time in {spec} is {day}, {date} at {time} with {doctor}. Would that suit you?
u: Yes please || That's fine || Perfect
t: book_appointment {"patient_id": "P-{ticket}", "date": "{isodate}", "time": "{time}"} => {"confirmed": true, "reference": "{code}"} ~530
a: It's booked. You'll get a text message with the details. Please bring your {insurer} card.

== reschedule | Moving an appointment
u: I have an appointment and can't make it || Can I move my appointment on {day}?
a: Of course. What name is it under?
u: {patient}
t: find_appointment {"name": "{patient}"} => {"reference": "{code}", "date": "{isodate}", "time": "{time}"} ~280
a: I see it: {day}, {date} at {time}. Shall I move it or cancel it?
b: voice_menu | Move=change*4 | Cancel=cancel*2
(change) a: I can offer you the week after, same day, twelve forty. I've put you down for it, you will get a message.
(cancel) t: cancel_appointment {"reference": "{code}"} => {"cancelled": true} ~350
(cancel) a: It's cancelled. Thank you for letting us know.

== prices | Prices and insurance
u: Do you take {insurer}? || How much is a visit without insurance? || Do your doctors speak English?
a=: Yes, with {insurer} you only need to bring your card. || A first visit is eighty euros, a check-up fifty. || Yes, all of our doctors speak English.

== _hello
a: Clínica Mirador, good morning. I'm the booking assistant, how may I help?
== _also
u: And one more thing
== _thanks
u: Thank you, bye || Great, thanks a lot
a: Thank you for calling. Goodbye.
== _helpful
a: If I was helpful, please say yes.
b: after_chat | Yes=yes*4 | No=no
== _retry
a: One second, the calendar is not answering. Let me try again.
== _failed
a: I'm sorry, I can't see the calendar at the moment. A colleague will call you back this afternoon.
== _handover
u: Can I speak to a person please || Put me through to reception
a: I'm putting you through to reception, please hold.
== _good
- No waiting music at last
- Understood my accent
== _neutral
- fine
== _bad
- (book) Could not spell my name
- Would rather talk to someone

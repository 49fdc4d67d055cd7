# ホテル・アドリア、日本語。
@ room: 307 || 402 || 418
@ fee: 25 || 30
@ adults: 2..3
@ hour: 13:00 || 14:00
@ island: フヴァル島 || ブラチ島

== late_checkout | レイトチェックアウト
u: こんにちは。{day}のチェックアウトを少し遅くできますか? || 部屋{room}です。{day}は{hour}まで部屋を使えますか?
t: check_availability {"room": {room}, "date": "{isodate}", "until": "{hour}"} => {"available": true, "fee_eur": {fee}} ~180
a: はい、{room}号室は**{hour}**までご利用いただけます。追加料金は**{fee}ユーロ**です。ご予約なさいますか?
b: late_checkout | はい、お願いします=yes*5 | いいえ=no
(yes) t: book_late_checkout {"room": {room}, "date": "{isodate}", "until": "{hour}"} => {"confirmed": true} ~320
(yes) a: 承りました。料金はお部屋のお会計に追加いたします。ごゆっくりお過ごしください。
(no) a: かしこまりました。チェックアウトは11時です。お荷物はお預かりいたします。

== ferry | {island}へのフェリー
u: {island}へ行くフェリーの時間を教えてください || {day}に{island}へ日帰りで行きたいです
t: ferry_timetable {"from": "Split", "to": "{island}", "date": "{isodate}"} => {"departures": ["07:30", "10:00", "14:15"]} ~290
a: {day}の出発時刻です。\n\n| スプリト発 | 到着 | 船 |\n|---|---|---|\n| 07:30 | 08:35 | 高速船 |\n| 10:00 | 11:50 | フェリー |\n| 14:15 | 15:20 | 高速船 |\n\n夏は混みますので、前日のご購入をおすすめします。

== _hello
a: ホテル・アドリアへようこそ。マリーナです。ご用件をどうぞ。
== _also
u: もう一つ質問があります。
== _thanks
u: ありがとうございます! || 助かりました。ありがとう。
a: どういたしまして。良い一日をお過ごしください。
== _helpful
a: お役に立てましたか?
b: after_chat | はい=yes*6 | いいえ=no
== _retry
a: 少々お待ちください。もう一度確認いたします。
== _failed
a: 申し訳ございません。現在システムに接続できません。フロントより一時間以内にご連絡いたします。
== _handover
u: スタッフの方と話せますか?
a: かしこまりました。フロントにおつなぎします。
== _good
- とても親切でした
- 早くて助かりました
== _neutral
- 普通
== _bad
- 質問が伝わりませんでした

"""Prompts as people write them, in twelve languages, and what each asks of a model: what the shipped weights answer to."""

from __future__ import annotations

_TRACE = """This crashes in production about twice a day and I can't reproduce it locally. Find the root cause and propose a fix
that does not change the public API.

```python
class Pool:
    def __init__(self, size):
        self.size = size
        self.items = []
        self.lock = threading.Lock()

    def take(self):
        if not self.items:
            self.items.append(Connection())
        return self.items.pop()

    def give(self, item):
        with self.lock:
            self.items.append(item)
```

Traceback (most recent call last):
  File "/srv/app/pool.py", line 12, in take
    return self.items.pop()
IndexError: pop from empty list

Requirements:
- must work on Python 3.9 and 3.12
- must not add a dependency
- at most one lock is held at any time
- explain why your change is correct, step by step
"""

_DESIGN = """Design a multi-region order service for an online shop with 40 million users. Compare at least three approaches to
consistency (single leader, multi leader, consensus) and evaluate the trade-offs for checkout, for stock and for refunds.
Requirements:

1. p99 latency below 120 ms in Europe and North America
2. no order may be lost or charged twice, even if one region fails in the middle of a payment
3. stock must never be oversold by more than 5 units
4. costs must not rise by more than 20 %

Give a data model, the sequence of calls for a purchase, the failure modes with their mitigation, and a migration plan from the
current single PostgreSQL database without downtime. Justify every decision.
"""

_DESIGN_GERMAN = """Entwirf ein Konzept für die Umstellung unserer Lohnabrechnung auf ein neues System und begründe jede
Entscheidung.
Analysiere dabei die Vor- und Nachteile von drei Varianten (Stichtag, Parallelbetrieb, schrittweise Einführung) und vergleiche sie
nach Kosten, Risiko und Dauer. Anforderungen:

1. Es muss mindestens zwei Abrechnungen im Parallelbetrieb geben.
2. Kein Mitarbeiter darf sein Gehalt später als am 28. des Monats erhalten.
3. Die Kosten sollen höchstens 250.000 Euro betragen.
4. Die Daten aus 12 Jahren müssen vollständig übernommen werden.

Beschreibe Schritt für Schritt, was wann geschieht, wer es verantwortet und was geschieht, wenn es misslingt.
"""

_DESIGN_CHINESE = """请设计一个支持一千万用户的即时通讯系统,并详细分析以下三种方案的优缺点:
中心化消息队列、分布式日志、点对点同步。要求:

1. 消息延迟必须低于200毫秒
2. 任何情况下不得丢失消息,至少保证一次投递
3. 成本最多增加20%
4. 支持离线消息,最多保留30天

请逐步推导容量估算,比较各方案的一致性与可用性的权衡,
评估故障场景下的恢复策略,并给出数据库的设计和优化建议。最后证明你选择的方案满足上面的全部要求。
"""

PROMPTS: tuple[tuple[str, str], ...] = (
    # Greetings, facts, translations.
    ("simple", "Hi"),
    ("simple", "What is the capital of France?"),
    ("simple", 'Translate "good morning, how are you?" into Spanish.'),
    ("simple", "Fix the grammar: he go to school yesterday and don't liked it."),
    ("simple", "Write a birthday wish for my sister, two sentences."),
    ("simple", "Danke, das war's für heute!"),
    ("simple", "Fasse diesen Satz kurz zusammen: Der Hund schläft seit drei Stunden auf dem Sofa."),
    ("simple", "Quelle heure est-il à Tokyo ?"),
    ("simple", "¿Cómo se dice «gracias» en japonés?"),
    ("simple", "Qual é a capital do Brasil?"),
    ("simple", "Ciao! Mi racconti una barzelletta?"),
    ("simple", "法国的首都是哪里?"),
    ("simple", "请把这句话翻译成英文:今天天气很好。"),
    ("simple", "こんにちは。今日は何曜日ですか?"),
    ("simple", "안녕하세요! '사과'를 영어로 번역해 주세요."),
    ("simple", "Привет! Сколько будет 17 плюс 25?"),
    ("simple", "مرحبا، ما هي عاصمة مصر؟"),
    ("simple", "नमस्ते, भारत की राजधानी क्या है?"),
    # One clear task that takes some thought, or some code.
    ("moderate", "Explain step by step how TCP congestion control works."),
    ("moderate", "Write a Python function that reverses a linked list, and a unit test for it."),
    ("moderate", "Compare PostgreSQL and MySQL for a small web shop."),
    ("moderate", "Prove that the square root of 2 is irrational."),
    ("moderate", "Vergleiche die Vor- und Nachteile von Wärmepumpe und Gasheizung."),
    (
        "moderate",
        "Schreibe eine SQL-Abfrage, die für jeden Kunden die letzte Bestellung liefert, und erkläre, warum sie schnell ist.",
    ),
    ("moderate", "Explique étape par étape comment fonctionne un vaccin à ARN messager."),
    ("moderate", "Analiza las causas de la crisis económica de 2008."),
    ("moderate", "Analise as vantagens e desvantagens do trabalho remoto."),
    ("moderate", "Spiegami passo dopo passo come si calcola l'IRPEF."),
    ("moderate", "请分析一下远程办公的优缺点。"),
    ("moderate", "リモートワークのメリットとデメリットを詳しく説明してください。"),
    ("moderate", "전기차와 하이브리드차의 장단점을 비교해 주세요."),
    ("moderate", "Сравни преимущества и недостатки удалённой работы."),
    ("moderate", "اشرح لي خطوة بخطوة كيف يعمل محرك السيارة"),
    ("moderate", "दूर से काम करने के फायदे और नुकसान की तुलना कीजिए।"),
    # Several demands at once, with code, constraints or plans.
    ("complex", _TRACE),
    ("complex", _DESIGN),
    ("complex", _DESIGN_GERMAN),
    ("complex", _DESIGN_CHINESE),
)

"""What columns of shops are called, in the languages we have met: name -> meaning."""

import re
from collections.abc import Collection, Mapping, Sequence

from retail_platform.onboarding.samples import ColumnLook, simple_name

_ID = r"(id|ids|no|nr|nb|num|number|nummer|numero|code|key|kennung)"
_CUSTOMER = r"(customer|cust|cst|client|kunde|kunden|kaeufer|besteller|buyer|shopper|cliente|klant|member|mitglied)"
_PRODUCT = r"(product|produkt|prd|prod|artikel|article|item|sku|stock|style|ware|waren|producto|prodotto|produit)"
_ORDER = r"(order|invoice|bestell|bestellung|bestellungs|auftrag|auftrags|rechnung|rechnungs|beleg|bon|receipt"
_ORDER += (
    r"|ord|transaction|txn|sale|sales|ticket|basket|cart|purchase|checkout|booking|pedido|commande|factura|ordine)"
)
_DATED = r"(order|invoice|sale|sales|transaction|txn|purchase|payment|bestell|auftrags?|rechnungs?|zahlungs?|beleg"
_DATED += r"|vente|commande|venta|pedido)"
_DONE = r"(sold|ordered|purchased|bought|placed|booked|paid|invoiced|bestellt|verkauft|bezahlt)"
_LINE = r"(line|order_?line|pos|position|zeile|item_line|line_item|posten)"

_NAMES: Mapping[str, Sequence[str]] = {
    "line_number": (rf"{_LINE}(_?{_ID})?", r"order_item_id|item_no|lfd_nr|sequence|seq"),
    "payment_number": (rf"(payment|pay|zahlung|zahlungs)(_?{_ID}|_sequential)",),
    "order_id": (rf"{_ORDER}_?{_ID}|{_ID}_{_ORDER}", _ORDER, rf"\w+_{_ORDER}_?{_ID}"),
    "customer_id": (rf"{_CUSTOMER}_?{_ID}|{_ID}_{_CUSTOMER}", _CUSTOMER, rf"\w+_{_CUSTOMER}_?{_ID}"),
    "product_id": (rf"{_PRODUCT}_?{_ID}|{_ID}_{_PRODUCT}|sku|ean|gtin|asin|upc", _PRODUCT, rf"\w+_{_PRODUCT}_?{_ID}"),
    "first_name": (r"(\w+_)?(first_?name|given_?name|vorname|prenom|nombre)",),
    "last_name": (r"(\w+_)?(last_?name|surname|family_?name|nachname|familienname|apellido)",),
    "full_name": (rf"full_?name|{_CUSTOMER}_?name", r"name|kundenname|contact|nom"),
    "email": (r"(\w+_)?e_?mail(_?adresse|_?address)?", r"mail|courriel"),
    "phone": (r"(\w+_)?(tele)?(phone|fon)(_?(number|nummer|\d))?|tel|mobile|handy",),
    "company": (r"(\w+_)?(company|firma)(_?name)?|organi[sz]ation",),
    "gender": (r"gender|sex|geschlecht",),
    "marital_status": (r"(\w+_)?marital(_status)?|familienstand",),
    "birth_date": (r"birth_?(date|day)|b_?date|dob|date_of_birth|geburts(tag|datum)|geboren(_am)?",),
    "signup_date": (r"sign_?up(_?date)?|(created|registered|joined|create|registration)(_?(at|on|date))?",
                    r"kunde_seit|angelegt(_am)?|customer_since|registriert(_am)?"),
    "address": (r"(\w+_)?(address|adresse|street|strasse|anschrift)(_?line_?1|_1)?|address_?line_?1",),
    "city": (r"(\w+_)?(city|town|stadt|ort|wohnort|ciudad|ville)",),
    "state": (r"(\w+_)?(state|province|county|bundesland)",),
    "postal_code": (r"(\w+_)?(postal_?code|post_?code|zip(_?code)?|plz|postleitzahl|postal|post)(_prefix)?",),
    "country": (r"(\w+_)?(country|land|pais|pays)(_?code)?",),
    "region": (r"(\w+_)?(region|gebiet)",),
    "territory": (r"(\w+_)?territory",),
    "product_name": (rf"{_PRODUCT}_?(name|title|description|bezeichnung)",
                     r"bezeichnung|description|title|titel|name|libelle", _PRODUCT),
    "category": (rf"({_PRODUCT}_?)?(category|kategorie|cat|warengruppe|gruppe|group|department|dept|class)(_?name)?",
                 r"famille|rayon|categoria"),
    "subcategory": (r"sub_?(category|cat)|untergruppe|unterkategorie",),
    "product_line": (r"product_?line|produktlinie",),
    "unit_cost": (r"(unit_?)?cost(_?price)?|einkauf(s?_?preis)?|ek(_?preis)?|(\w+_)?cost",),
    "unit_price": (r"(unit|list|sales|einzel|verkaufs|stueck)_?(price|preis)|vk(_?preis)?|price_each|prix_unitaire",
                   r"(\w+_)?(price|preis|precio|prix|prezzo)(_(each|net|netto|gross|brutto|eur|usd|gbp|chf))?"),
    "quantity": (r"quantity|qty|menge|anzahl|stueck(zahl)?|units|cantidad|quantite",
                 r"(\w+_)?(quantity|qty|menge|anzahl)(_?\w+)?|quantityordered"),
    "discount_amount": (r"discount(_?amount)?|rabatt(_?betrag)?|nachlass",),
    "freight_amount": (r"freight(_?(amount|value|cost))?|shipping(_?(cost|fee|amount))?|versand(_?kosten)?|fracht",),
    "total_amount": (r"(line_?|order_?)?(total|amount|sales_?amount|betrag|summe|gesamt(_?betrag|_?preis)?)",
                     r"(\w+_)?(total|amount|betrag|summe|value|wert)(_?(amount|price|value|eur|usd))?"),
    "status": (r"(order_?|auftrags_?|bestell_?)?(status|state|zustand)", r"\w+_status"),
    "payment_method": (r"(payment|pay)_?(method|mode|type)|zahlungs?_?(art|weise|methode|mittel)|zahlart",
                       r"method|methode|payment|tender|bezahlung|zahlung"),
    "installments": (r"(\w+_)?(installments?|raten)",),
    "deal_size": (r"deal_?size",),
    "ship_date": (r"(\w+_)?(ship(ped|ping)?|delivered_carrier|versand|liefer)_?(date|dt|at|on|datum|tag)",),
    "due_date": (r"(\w+_)?(due|estimated_delivery|faellig)_?(date|dt|at|on|datum|am)",),
    "date": (rf"{_DATED}_?(date|datum|day|time|timestamp|dt)|{_DONE}_?(date|at|on|am)|date_(de_)?{_DATED}",
             r"date|datum|tag|fecha|timestamp|created(_at)?|ordered(_at)?|day",
             r"\w*(date|datum|timestamp|_dt)\w*"),
}  # fmt: skip
"""From the surest pattern on, of the whole name as `simple_name` writes it."""

_STATUSES: Mapping[str, str] = {
    "Completed": r"complet\w*|paid|bezahlt|delivered|geliefert|fulfilled|closed|done|abgeschlossen|erledigt|sold",
    "Cancelled": r"cancel\w*|storn\w*|void(ed)?|abgebrochen|unavailable|failed|rejected",
    "Returned": r"return\w*|refund\w*|retour\w*|rueck\w*|erstattet",
    "Open": r"open|offen|pending|new|neu|created|processing|in_bearbeitung|shipped|versandt|versendet|approved"
    r"|invoiced",
}

DATES = frozenset({"date", "birth_date", "signup_date", "ship_date", "due_date"})
_NUMBERS = frozenset(
    {"unit_cost", "unit_price", "quantity", "discount_amount", "freight_amount", "total_amount", "installments"}
)


class Meaning:
    """Which columns of a feed mean what: `found` by meaning; `sure` by a telling name, `weak` by a part of one.

    `others` are those that some files have instead of the one found.
    """

    def __init__(self, columns: Mapping[str, ColumnLook], *, among: Collection[str] = ()) -> None:
        """Look at names, and at what the columns hold; for all meanings, or `among` some."""
        self.found: dict[str, str] = {}
        self.sure: set[str] = set()
        self.weak: set[str] = set()
        depth = max(map(len, _NAMES.values()))
        for level in range(depth):
            for meaning, patterns in _NAMES.items():
                if level < len(patterns) and meaning not in self.found and (not among or meaning in among):
                    self._find(meaning, patterns[level], columns)
                    if meaning in self.found:
                        self._grade(meaning, level)
        if not among or "date" in among:
            self._find_only_date(columns)
        self.others = {meaning: others for meaning in self.found if (others := self._others(meaning, columns))}

    def learn(self, meaning: str, column: str) -> None:
        """Take a column for what something else than its name says of it, unless its name says otherwise."""
        if meaning not in self.found and column not in self.found.values():
            self.found[meaning] = column

    def _others(self, meaning: str, columns: Mapping[str, ColumnLook]) -> list[str]:
        """Columns that some files have instead of the one that was found."""
        mine, taken = columns[self.found[meaning]], set(self.found.values())
        left = [name for name, look in columns.items() if look.is_optional and name not in taken]
        patterns = _NAMES[meaning]
        return [
            name
            for name in left
            if mine.is_optional
            and _can_be(meaning, columns[name])
            and any(re.fullmatch(pattern, simple_name(name)) for pattern in patterns)
        ]

    def _find_only_date(self, columns: Mapping[str, ColumnLook]) -> None:
        """Whatever it is called, the only column that holds dates tells when."""
        left = [name for name, column in columns.items() if column.formats and name not in self.found.values()]
        if "date" not in self.found and len(left) == 1:
            self.found["date"] = left[0]
            self.weak.add("date")

    def _find(self, meaning: str, pattern: str, columns: Mapping[str, ColumnLook]) -> None:
        taken = set(self.found.values())
        for name, column in columns.items():
            if name not in taken and re.fullmatch(pattern, simple_name(name)) and _can_be(meaning, column):
                self.found[meaning] = name
                return

    def _grade(self, meaning: str, level: int) -> None:
        if level == 0:
            self.sure.add(meaning)
        elif level > 1:
            self.weak.add(meaning)

    def has(self, *meanings: str) -> bool:
        """Whether there is a column for each."""
        return all(meaning in self.found for meaning in meanings)


def thing_named(feed: str) -> str | None:
    """What a feed's name says that its rows are: customer, product, order, line or payment."""
    words = {
        "payment": r"pay|zahlung",
        "line": r"line|position|pos$|_item|item_|zeile|posten",
        "customer": _CUSTOMER,
        "product": _PRODUCT,
        "order": _ORDER,
    }
    return next((thing for thing, pattern in words.items() if re.search(pattern, feed)), None)


def is_bare_id(name: str) -> bool:
    """Whether a column is called just `id` or `nr`: what it names, the feed's name must say."""
    return bool(re.fullmatch(_ID, simple_name(name)))


def our_status(value: str) -> str | None:
    """Which of our order statuses a source's word for one means."""
    name = simple_name(value)
    return next((status for status, pattern in _STATUSES.items() if re.fullmatch(pattern, name)), None)


def _can_be(meaning: str, column: ColumnLook) -> bool:
    if not column.distinct:
        return meaning not in {"order_id", "customer_id", "product_id", "date"}
    if meaning in DATES:
        return bool(column.formats)
    if meaning == "payment_method":
        return not column.is_number
    return column.is_number if meaning in _NUMBERS else True

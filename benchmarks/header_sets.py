"""Headers as companies write them, against five templates: what a mapping must find, and must not invent."""

from dataclasses import dataclass, field
from typing import Any

from importer.template import FieldHint, Template

_DATE = {"type": "string", "format": "date"}
_TEXT = {"type": "string"}
_NUMBER = {"type": "number"}


def _template(
    name: str, required: tuple[str, ...], hints: dict[str, FieldHint] | None = None, **fields: Any
) -> Template:
    record = {"type": "object", "properties": fields, "required": list(required)}
    return Template(name=name, record=record, hints=hints or {})


TEMPLATES = {
    template.name: template
    for template in (
        _template(
            "orders",
            ("order_id", "total_amount"),
            order_id=_TEXT,
            order_date=_DATE,
            customer_name=_TEXT,
            quantity={"type": "integer"},
            unit_price=_NUMBER,
            total_amount=_NUMBER,
            status={"type": "string", "enum": ["open", "paid", "shipped", "cancelled"]},
        ),
        _template(
            "contacts",
            ("email",),
            first_name=_TEXT,
            last_name=_TEXT,
            email={"type": "string", "format": "email"},
            phone=_TEXT,
            company=_TEXT,
            country=_TEXT,
        ),
        _template(
            "products",
            ("product_id",),
            {"weight": FieldHint(unit="kg")},
            product_id=_TEXT,
            product_name=_TEXT,
            category=_TEXT,
            price=_NUMBER,
            weight=_NUMBER,
            stock={"type": "integer"},
        ),
        _template(
            "invoices",
            ("invoice_id", "net_amount"),
            invoice_id=_TEXT,
            invoice_date=_DATE,
            due_date=_DATE,
            supplier=_TEXT,
            net_amount=_NUMBER,
            tax_rate=_NUMBER,
            currency=_TEXT,
        ),
        _template(
            "employees",
            ("employee_id",),
            employee_id=_TEXT,
            full_name=_TEXT,
            birth_date=_DATE,
            hire_date=_DATE,
            department=_TEXT,
            salary=_NUMBER,
        ),
    )
}


@dataclass(frozen=True, slots=True)
class HeaderSet:
    """A header with values of one row, and which column each field comes from."""

    template: str
    row: dict[str, str]
    wanted: dict[str, str | tuple[str, ...]] = field(default_factory=dict)
    needs_model: frozenset[str] = frozenset()


def _set(template: str, cells: str, wanted: str, needs_model: str = "") -> HeaderSet:
    """Cells as `name=value | …`, what is wanted as `field=column | …` with ` + ` between several columns."""
    pairs = [part.partition("=") for part in wanted.split(" | ") if part]
    return HeaderSet(
        template=template,
        row={name: value for name, _, value in (part.partition("=") for part in cells.split(" | "))},
        wanted={target: tuple(names.split(" + ")) if " + " in names else names for target, _, names in pairs},
        needs_model=frozenset(needs_model.split()),
    )


SETS = (
    _set(
        "orders",
        "Order ID=O-1 | Order Date=2024-05-17 | Customer Name=Ada | Qty=3 | Unit Price=4.50 | Total Amount=13.50 | Status=paid",
        "order_id=Order ID | order_date=Order Date | customer_name=Customer Name | quantity=Qty | unit_price=Unit Price"
        " | total_amount=Total Amount | status=Status",
    ),
    _set(
        "orders",
        "Bestellnummer=B1 | Bestelldatum=17.05.2024 | Kunde=Ada | Menge=3 | Einzelpreis=4,50 € | Gesamtbetrag=13,50 € | Zustand=offen",
        "order_id=Bestellnummer | order_date=Bestelldatum | customer_name=Kunde | quantity=Menge | unit_price=Einzelpreis"
        " | total_amount=Gesamtbetrag | status=Zustand",
    ),
    _set(
        "orders",
        "N° commande=C1 | Date de commande=17/05/2024 | Nom du client=Ada | Qté=3 | Prix unitaire=4,50 | Montant total=13,50 | État=payé",
        "order_id=N° commande | order_date=Date de commande | customer_name=Nom du client | quantity=Qté"
        " | unit_price=Prix unitaire | total_amount=Montant total | status=État",
    ),
    _set(
        "orders",
        "Nº pedido=P1 | Fecha pedido=17/05/2024 | Cliente=Ada | Cantidad=3 | Precio unitario=4,50 | Importe total=13,50 | Estado=pagado",
        "order_id=Nº pedido | order_date=Fecha pedido | customer_name=Cliente | quantity=Cantidad"
        " | unit_price=Precio unitario | total_amount=Importe total | status=Estado",
    ),
    _set(
        "orders",
        "ord_no=1 | ord_dt=2024-05-17 | cust_nm=Ada | qty=3 | u_price=4.50 | amt_total=13.50",
        "order_id=ord_no | order_date=ord_dt | customer_name=cust_nm | quantity=qty | unit_price=u_price | total_amount=amt_total",
        "unit_price customer_name",
    ),
    _set(
        "orders",
        "PO#=P-7 | Placed On=May 17, 2024 | Bought By=Ada | Pieces=3 | Each=$4.50 | Grand Total=$13.50",
        "order_id=PO# | order_date=Placed On | customer_name=Bought By | quantity=Pieces | unit_price=Each | total_amount=Grand Total",
        "order_date customer_name quantity unit_price total_amount",
    ),
    _set(
        "contacts",
        "FirstName=Ada | LastName=Lovelace | EmailAddress=ada@x.org | MobilePhone=+49 30 1234567 | CompanyName=X | Country=UK",
        "first_name=FirstName | last_name=LastName | email=EmailAddress | phone=MobilePhone | company=CompanyName | country=Country",
    ),
    _set(
        "contacts",
        "Vorname=Ada | Nachname=Lovelace | E-Mail=ada@x.org | Tel.=030 1234567 | Firma=X | Land=DE",
        "first_name=Vorname | last_name=Nachname | email=E-Mail | phone=Tel. | company=Firma | country=Land",
    ),
    _set(
        "contacts",
        "Prénom=Ada | Nom de famille=Lovelace | Courriel=ada@x.org | Téléphone=01 23 45 67 89 | Société=X | Pays=FR",
        "first_name=Prénom | last_name=Nom de famille | email=Courriel | phone=Téléphone | company=Société | country=Pays",
    ),
    _set(
        "contacts",
        "Full Name=Lovelace, Ada | Contact=ada@x.org | Cell=+44 20 12345678 | Employer=X | Country/Region=UK",
        "last_name=Full Name | first_name=Full Name | email=Contact | phone=Cell | company=Employer | country=Country/Region",
        "first_name last_name email company country",
    ),
    _set(
        "contacts",
        "名=Ada | 姓=Lovelace | メール=ada@x.org | 電話=03-1234-5678 | 会社=X | 国=JP",
        "first_name=名 | last_name=姓 | email=メール | phone=電話 | company=会社 | country=国",
    ),
    _set(
        "products",
        "SKU=A1 | Product Name=Bolt | Category=Iron | Price=1.20 | Weight (g)=350 | Stock=7",
        "product_id=SKU | product_name=Product Name | category=Category | price=Price | weight=Weight (g) | stock=Stock",
    ),
    _set(
        "products",
        "Artikelnr=A1 | Artikelbezeichnung=Bolzen | Warengruppe=Eisen | Preis in EUR=1,20 | Gewicht (kg)=0,35 | Lagerbestand=7",
        "product_id=Artikelnr | product_name=Artikelbezeichnung | category=Warengruppe | price=Preis in EUR"
        " | weight=Gewicht (kg) | stock=Lagerbestand",
    ),
    _set(
        "products",
        "Codice articolo=A1 | Nome prodotto=Vite | Categoria=Ferro | Prezzo=1,20 | Peso=0,35 | Giacenza=7",
        "product_id=Codice articolo | product_name=Nome prodotto | category=Categoria | price=Prezzo | weight=Peso | stock=Giacenza",
    ),
    _set(
        "products",
        "item_code=A1 | item_label=Bolt | grp=Iron | list=1.20 | wt_lbs=0.77 | onhand=7",
        "product_id=item_code | product_name=item_label | category=grp | price=list | weight=wt_lbs | stock=onhand",
        "category price weight",
    ),
    _set(
        "invoices",
        "Rechnungsnummer=R1 | Rechnungsdatum=17.05.2024 | Fälligkeit=31.05.2024 | Lieferant=X | Nettobetrag=10,00 | MwSt-Satz=19 | Währung=EUR",
        "invoice_id=Rechnungsnummer | invoice_date=Rechnungsdatum | due_date=Fälligkeit | supplier=Lieferant"
        " | net_amount=Nettobetrag | tax_rate=MwSt-Satz | currency=Währung",
    ),
    _set(
        "invoices",
        "Inv No=R1 | Inv Date=2024-05-17 | Due Date=2024-05-31 | Vendor=X | Net Amount=10.00 | VAT rate=19 | Currency=EUR",
        "invoice_id=Inv No | invoice_date=Inv Date | due_date=Due Date | supplier=Vendor | net_amount=Net Amount"
        " | tax_rate=VAT rate | currency=Currency",
    ),
    _set(
        "invoices",
        "N° facture=F1 | Date facture=17/05/2024 | Échéance=31/05/2024 | Fournisseur=X | Montant HT=10,00 | Taux TVA=20 | Devise=EUR",
        "invoice_id=N° facture | invoice_date=Date facture | due_date=Échéance | supplier=Fournisseur"
        " | net_amount=Montant HT | tax_rate=Taux TVA | currency=Devise",
    ),
    _set(
        "invoices",
        "Factuurnummer=F1 | Factuurdatum=17-05-2024 | Vervaldatum=31-05-2024 | Leverancier=X | Bedrag excl. btw=10,00 | Btw %=21",
        "invoice_id=Factuurnummer | invoice_date=Factuurdatum | due_date=Vervaldatum | supplier=Leverancier"
        " | net_amount=Bedrag excl. btw | tax_rate=Btw %",
        "invoice_id invoice_date due_date net_amount tax_rate",
    ),
    _set(
        "employees",
        "Employee ID=7 | Name=Ada | Date of Birth=1990-12-10 | Hire Date=2020-02-01 | Department=IT | Salary=5000",
        "employee_id=Employee ID | full_name=Name | birth_date=Date of Birth | hire_date=Hire Date | department=Department"
        " | salary=Salary",
    ),
    _set(
        "employees",
        "Personalnummer=7 | Name=Ada | Geburtsdatum=10.12.1990 | Eintrittsdatum=01.02.2020 | Abteilung=IT | Gehalt=5.000,00",
        "employee_id=Personalnummer | full_name=Name | birth_date=Geburtsdatum | hire_date=Eintrittsdatum"
        " | department=Abteilung | salary=Gehalt",
    ),
    _set(
        "employees",
        "社員番号=7 | 氏名=Ada | 生年月日=1990-12-10 | 入社日=2020-02-01 | 部署=IT | 給与=5000",
        "employee_id=社員番号 | full_name=氏名 | birth_date=生年月日 | hire_date=入社日 | department=部署 | salary=給与",
        "employee_id hire_date",
    ),
    _set(
        "employees",
        "emp=7 | dob=1990-12-10 | joined=2020-02-01 | dept=IT | monthly pay=5000 | who=Ada",
        "employee_id=emp | birth_date=dob | hire_date=joined | department=dept | salary=monthly pay | full_name=who",
        "full_name hire_date salary",
    ),
)

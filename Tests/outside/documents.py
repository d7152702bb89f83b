"""Real documents, and hostile ones, made while a test runs."""

import io
import zipfile

import docx
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import getSampleStyleSheet
from reportlab.platypus import PageBreak, Paragraph, SimpleDocTemplate, Table

DOCUMENT = "word/document.xml"
SPACE = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'

# Page by page: a heading and what stands below it.
PAGES = [
    ("Opening hours", "The workshop is open from nine in the morning until six in the evening, on Saturdays until noon."),
    ("Bicycle repairs", "A puncture is mended while the customer waits. It costs twelve dollars, the new tube included."),
    ("Lost keys", "A lost key for a bicycle lock is cut again within two days if the customer brings the number card."),
]


def pdf(pages=PAGES, table=None, **how) -> bytes:
    styles, story, file = getSampleStyleSheet(), [], io.BytesIO()
    for heading, text in pages:
        story += [Paragraph(heading, styles["Heading1"]), Paragraph(text, styles["BodyText"]), PageBreak()]
    if table:
        story.append(Table(table))
    SimpleDocTemplate(file, pagesize=A4, **how).build(story)
    return file.getvalue()


def encrypted_pdf() -> bytes:
    return pdf(encrypt="secret")


def word() -> bytes:
    document, file = docx.Document(), io.BytesIO()
    document.add_heading("Workshop handbook", 0)
    for heading, text in PAGES:
        document.add_heading(heading, 1)
        document.add_paragraph(text)
    document.add_paragraph("Bring the receipt", style="List Bullet")
    table = document.add_table(rows=1, cols=2)
    table.rows[0].cells[0].text, table.rows[0].cells[1].text = "saddle", "forty dollars"
    document.save(file)
    return file.getvalue()


def packed(parts: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return file.getvalue()


def word_of(body: str, declaration: str = "") -> bytes:
    text = f"{declaration}<w:document {SPACE}><w:body>{body}</w:body></w:document>"
    return packed({"[Content_Types].xml": b"<Types/>", DOCUMENT: text.encode()})


def zip_bomb() -> bytes:
    """A quarter of a gigabyte of spaces in a quarter of a megabyte."""
    return packed({DOCUMENT: b"<w:document>" + b" " * (256 << 20)})


def external_entity() -> bytes:
    return word_of("<w:p><w:r><w:t>&x;</w:t></w:r></w:p>",
                   '<!DOCTYPE d [<!ENTITY x SYSTEM "file:///etc/passwd">]>')


def billion_laughs() -> bytes:
    entities = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
    return word_of("<w:p><w:r><w:t>&l9;</w:t></w:r></w:p>", f'<!DOCTYPE d [<!ENTITY l0 "ha">{entities}]>')


def deep() -> bytes:
    return word_of("<w:sdt>" * 20_000 + "</w:sdt>" * 20_000)

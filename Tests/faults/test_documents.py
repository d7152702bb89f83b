"""A document is being processed when its program is killed with -9."""

from outside import documents
from outside.platform import eventually

LIST, UPLOAD, SEARCH = "/api/v1/knowledge", "/api/v1/knowledge/upload", "/api/v1/knowledge/search"


def test_a_document_survives_the_death_of_the_program(owner, platform):
    """Whoever comes next starts again from the stored file."""
    long = documents.pdf([(f"Chapter {n}", f"Topic {n} costs {n + 1000} dollars. " * 60) for n in range(150)])
    answer = owner.ask("POST", UPLOAD, files={"file": ("long.pdf", long)})
    assert answer.status_code == 202, answer.text
    path = f"{LIST}/{answer.json()['entry']['id']}"
    platform.tell("kill", "knowledge")
    eventually(lambda: owner.ask("GET", path).status_code == 200, 60, "the program is back")
    assert owner.get(path)["entry"]["status"] == "processing", "it was killed too late to tell anything"

    def done():
        entry = owner.get(path)["entry"]
        return entry if entry["status"] != "processing" else None
    entry = eventually(done, 60, "the document is processed")
    assert entry["status"] == "ready" and entry["metadata"]["pages"] >= 150, entry.get("error")
    assert "1149 dollars" in owner.get(SEARCH, q="topic 149")["results"][0]["passage"]

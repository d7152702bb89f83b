"""Document 002's profile, settings, picture, data export and account deletion, through the gateway."""

import io
import json
import re
import struct
import zipfile
import zlib

import pytest
import requests
from PIL import Image

from outside.leaving import Leaver
from outside.people import PASSWORD, Person, bad_fields, checked, error_code
from outside.platform import eventually
from outside.traces import in_compacted_topics, in_logs, in_tables

PROFILE = "/api/dashboard/user/profile/"
SETTINGS = "/api/dashboard/user/settings/"
AVATAR = "/api/dashboard/user/avatar/"
EXPORT = "/api/dashboard/user/export-data/"
DELETE = "/api/dashboard/user/delete-account/"


# ---- profile and settings


def test_a_profile_is_shown_and_changed(owner):
    before = owner.get(PROFILE)
    assert before["email"] == owner.email and before["account_status"] == "active" and before["avatar"] is None
    after = checked(owner.ask("PATCH", PROFILE, {"full_name": "Maria von Trapp", "phone": "+14155550123"}), 200)
    assert (after["first_name"], after["last_name"], after["phone"]) == ("Maria", "von Trapp", "+14155550123")
    assert owner.get("/api/users/users/me/")["full_name"] == "Maria von Trapp"


def test_somebody_elses_address_is_refused(owner, stranger):
    assert "email" in bad_fields(owner.ask("PATCH", PROFILE, {"email": stranger.email}))


def test_settings_are_kept_and_guarded_by_their_version(owner):
    first = owner.ask("GET", SETTINGS)
    tag = first.headers["ETag"]
    one = owner.ask("PUT", SETTINGS, {"account": {"timezone": "Asia/Kathmandu"}}, headers={"If-Match": tag})
    assert checked(one, 200)["account"]["timezone"] == "Asia/Kathmandu"
    late = owner.ask("PATCH", SETTINGS, {"account": {"language": "fr"}}, headers={"If-Match": tag})
    assert late.status_code == 412 and error_code(late) == "PRECONDITION_FAILED"
    assert owner.get(SETTINGS)["account"] == checked(one, 200)["account"]
    assert "account.favourite_colour" in bad_fields(owner.ask("PATCH", SETTINGS, {"account": {"favourite_colour": 1}}))


# ---- pictures


def saved(picture: Image.Image, kind: str, **how) -> bytes:
    out = io.BytesIO()
    picture.save(out, kind, **how)
    return out.getvalue()


def corners(size=(400, 300)) -> Image.Image:
    """Red, green / blue, white: one can see which way up it is."""
    width, height = size
    picture = Image.new("RGB", size)
    for at, colour in enumerate([(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)]):
        picture.paste(colour, (at % 2 * width // 2, at // 2 * height // 2,
                               (at % 2 + 1) * width // 2, (at // 2 + 1) * height // 2))
    return picture


def upload(person: Person, file: bytes, name="me.png", kind="image/png") -> requests.Response:
    return requests.post(person.platform.url + AVATAR, files={"avatar": (name, file, kind)}, timeout=30,
                         headers={"Authorization": f"Bearer {person.token}"})


def shown(person: Person, answer: requests.Response) -> Image.Image:
    body = checked(answer, 200)
    got = requests.get(person.platform.url + body["avatar"], timeout=10)
    assert got.status_code == 200 and got.headers["Content-Type"] == "image/webp"
    return Image.open(io.BytesIO(got.content))


def colours(picture: Image.Image) -> list[str]:
    """Of the four corners, row by row."""
    side = picture.width
    names = {(1, 0, 0): "red", (0, 1, 0): "green", (0, 0, 1): "blue", (1, 1, 1): "white"}
    places = [(side // 5, side // 5), (side * 4 // 5, side // 5), (side // 5, side * 4 // 5), (side * 4 // 5, side * 4 // 5)]
    return [names.get(tuple(int(each > 128) for each in picture.convert("RGB").getpixel(place)), "?") for place in places]


UPRIGHT = ["red", "green", "blue", "white"]


@pytest.mark.parametrize("file", [
    saved(corners(), "PNG"), saved(corners(), "JPEG", quality=95), saved(corners(), "WEBP", lossless=True),
    saved(corners().convert("P"), "PNG"), saved(corners((40, 30)), "PNG"), saved(corners((3000, 4000)), "JPEG"),
    saved(corners(), "JPEG", quality=90, progressive=True),
], ids=["png", "jpeg", "webp", "palette", "small", "12-megapixels", "progressive"])
def test_a_picture_becomes_a_square_of_two_sizes(owner, file):
    answer = upload(owner, file)
    picture = shown(owner, answer)
    assert picture.size == (256, 256) and picture.format == "WEBP" and colours(picture) == UPRIGHT
    sizes = answer.json()["sizes"]
    small = requests.get(owner.platform.url + sizes["64"], timeout=10)
    assert Image.open(io.BytesIO(small.content)).size == (64, 64)
    assert owner.get(PROFILE)["avatar"] == sizes["256"]


def test_a_cmyk_jpeg_keeps_its_colours(owner):
    assert colours(shown(owner, upload(owner, saved(corners().convert("CMYK"), "JPEG", quality=95)))) == UPRIGHT


def test_a_transparent_picture_stays_transparent(owner):
    picture = shown(owner, upload(owner, saved(Image.new("RGBA", (100, 100), (255, 0, 0, 0)), "PNG")))
    assert picture.convert("RGBA").getpixel((50, 50))[3] == 0


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_exif_turns_the_picture_and_is_gone(owner, kind, orientation):
    # What a camera held this way would have stored of an upright scene.
    undo = {1: None, 2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180,
            4: Image.Transpose.FLIP_TOP_BOTTOM, 5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_90,
            7: Image.Transpose.TRANSVERSE, 8: Image.Transpose.ROTATE_270}[orientation]
    stored = corners() if undo is None else corners().transpose(undo)
    exif = Image.Exif()
    exif[0x0112], exif[0x010E], exif[0x9003] = orientation, "taken at Zanzibar", "2026:01:01 00:00:00"
    answer = upload(owner, saved(stored, kind, exif=exif))
    picture = shown(owner, answer)
    assert colours(picture) == UPRIGHT
    assert dict(picture.getexif()) == {}
    for path in answer.json()["sizes"].values():
        assert b"Zanzibar" not in requests.get(owner.platform.url + path, timeout=10).content


def bomb(width: int, height: int) -> bytes:
    """A PNG of next to nothing that unpacks to more than fits: rows of zeros."""
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
    packer = zlib.compressobj(9)
    rows = b"".join(packer.compress(bytes(1 + width)) for _ in range(height)) + packer.flush()
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
            + chunk(b"IDAT", rows) + chunk(b"IEND", b""))


def lying(file: bytes) -> bytes:
    """The same PNG with a header that says it is small."""
    head = b"IHDR" + struct.pack(">IIBBBBB", 10, 10, 8, 0, 0, 0, 0)
    return file[:12] + head + struct.pack(">I", zlib.crc32(head)) + file[33:]


def animated(kind: str) -> bytes:
    return saved(corners(), kind, save_all=True, append_images=[corners().rotate(90)], duration=100)


@pytest.mark.parametrize("file, words", [
    (saved(corners(), "PNG")[:-400], "damaged"), (saved(corners(), "JPEG")[:2000], "damaged"),
    (saved(corners(), "WEBP", lossless=True)[:-30], "damaged"),
    (saved(corners(), "GIF"), "PNG, JPEG or WebP"), (saved(corners(), "BMP"), "PNG, JPEG or WebP"),
    (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "PNG, JPEG or WebP"), (b"%PDF-1.7", "PNG, JPEG or WebP"), (b"", "PNG, JPEG"),
    (animated("WEBP"), "still"), (animated("PNG"), "still"), (bomb(9000, 9000), "megapixels"),
    (saved(corners(), "PNG").replace(b"IDAT", b"IDXT"), "damaged"),
], ids=["cut-png", "cut-jpeg", "cut-webp", "gif", "bmp", "svg", "pdf", "empty", "moving-webp", "moving-png", "bomb", "broken"])
def test_what_is_no_proper_picture_is_refused_and_changes_nothing(owner, file, words):
    good = checked(upload(owner, saved(corners(), "PNG")), 200)
    answer = upload(owner, file)
    assert "avatar" in bad_fields(answer) and words in answer.text
    assert owner.get(PROFILE)["avatar"] == good["avatar"]


def test_a_bomb_that_lies_about_its_size_harms_nobody(platform, owner):
    answer = upload(owner, lying(bomb(9000, 9000)))
    # The decoder reads the ten rows that the header promises, or refuses: either way in its own process.
    assert answer.status_code in (200, 400)
    assert requests.get(platform.internal_url("auth") + "/healthz", timeout=5).status_code == 200


def test_a_file_of_more_than_five_megabytes_is_too_large(owner):
    assert upload(owner, b"\x89PNG" + bytes(5 << 20)).status_code == 413
    assert upload(owner, bytes(20 << 20)).status_code == 413


def test_a_form_without_a_picture_says_so(owner):
    answer = requests.post(owner.platform.url + AVATAR, files={"other": ("x", b"x")}, timeout=10,
                           headers={"Authorization": f"Bearer {owner.token}"})
    assert "avatar" in bad_fields(answer)


def test_pictures_are_served_to_all_for_ever_and_old_ones_go(platform, owner, stranger):
    first = checked(upload(owner, saved(corners(), "PNG")), 200)["avatar"]
    assert re.fullmatch(r"/media/avatars/[0-9a-f]{40}-256\.webp", first)
    got = requests.get(platform.url + first, timeout=10)
    assert "immutable" in got.headers["Cache-Control"] and got.headers["X-Content-Type-Options"] == "nosniff"
    again = requests.get(platform.url + first, headers={"If-None-Match": got.headers["ETag"]}, timeout=10)
    assert again.status_code == 304
    # The same picture of somebody else has another name.
    assert checked(upload(stranger, saved(corners(), "PNG")), 200)["avatar"] != first
    second = checked(upload(owner, saved(corners().rotate(180), "PNG")), 200)["avatar"]
    assert second != first and requests.get(platform.url + first, timeout=10).status_code == 404
    assert owner.ask("DELETE", AVATAR).status_code == 204
    assert requests.get(platform.url + second, timeout=10).status_code == 404
    assert owner.get(PROFILE)["avatar"] is None


# ---- taking one's data along


def test_an_export_holds_what_every_program_knows(platform):
    leaver = Leaver(platform, calls=3)
    person = leaver.person
    checked(upload(person, saved(corners(), "PNG")), 200)
    first = person.ask("GET", EXPORT)
    assert first.status_code == 202 and first.json()["job"]["progress"] == 0

    def ready():
        answer = person.ask("GET", EXPORT)
        assert answer.status_code in (200, 202), answer.text
        return answer if answer.status_code == 200 else None
    archive = zipfile.ZipFile(io.BytesIO(eventually(ready, 60, "the archive is ready").content))
    assert archive.testzip() is None
    names = set(archive.namelist())
    assert {"profile.json", "settings.json", "sessions.json", "workspaces.json", "subscriptions.json", "usage.json",
            "agents.json", "phone_numbers.json", "human_agents.json", "calls.json", "transcripts.json", "notes.json",
            "escalations.json", "callbacks.json", "do_not_call.json", "scores.json", "knowledge.json", "configs.json",
            "avatar.webp", "about.json"} <= names
    read = {name.removesuffix(".json"): json.loads(archive.read(name)) for name in names if name.endswith(".json")}
    assert read["profile"][0]["email"] == leaver.email
    assert read["settings"][0]["calls"]["default_voice"] == f"{leaver.first}'s voice"
    assert {call["twilio_call_sid"] for call in read["calls"]} == set(leaver.sids)
    shown = person.call(leaver.call)
    exported = next(call for call in read["calls"] if call["id"] == leaver.call)
    assert {name: exported[name] for name in ("from_number", "started_at", "status")} == {
        name: shown[name] for name in ("from_number", "started_at", "status")}
    spoken = {each["call_id"]: each["interactions"] for each in read["transcripts"]}
    asked = person.get(f"/api/v1/calls/{leaver.call}/interactions")["interactions"]
    assert [line["text"] for line in spoken[leaver.call]] == [line["text"] for line in asked]
    assert leaver.first in read["notes"][0]["note"] and leaver.last in read["knowledge"][0]["title"]
    assert read["usage"][0]["calls"] == 3 and read["about"]["items"]["calls"] == 3
    assert Image.open(io.BytesIO(archive.read("avatar.webp"))).size == (256, 256)
    assert person.ask("GET", EXPORT, params={"fresh": "true"}).status_code == 429


def test_an_export_holds_nothing_of_others(platform, owner, stranger):
    owner.agent(name="Secretly Zanzibar")
    eventually(lambda: stranger.ask("GET", EXPORT).status_code == 200, 60, "the archive is ready")
    archive = zipfile.ZipFile(io.BytesIO(stranger.ask("GET", EXPORT).content))
    assert not any(b"Zanzibar" in archive.read(name) for name in archive.namelist())


# ---- leaving


def test_an_account_that_is_being_deleted_can_be_kept(platform, owner):
    assert "password" in bad_fields(owner.ask("DELETE", DELETE, {"password": "wrong", "confirm": True}))
    day = checked(owner.ask("DELETE", DELETE, {"password": PASSWORD, "confirm": True}), 202)["deletes_at"]
    eventually(lambda: owner.ask("GET", PROFILE).status_code == 401, 5, "the session has ended")
    body = {"email": owner.email, "password": PASSWORD}
    refused = requests.post(platform.url + "/api/auth/login/", json=body, timeout=20)
    assert refused.status_code == 403 and refused.json()["details"]["deletes_at"] == day
    back = requests.post(platform.url + "/api/auth/login/", json=body | {"cancel_deletion": True}, timeout=20)
    assert back.status_code == 200, back.text
    owner.take(back.json())
    assert owner.get(PROFILE)["deletes_at"] is None
    assert Person.logged_in(platform, owner.email, PASSWORD).get(PROFILE)["id"] == owner.user["id"]


def test_whoever_is_deleted_leaves_no_trace(platform, admin):
    leaver = Leaver(platform, calls=2)
    checked(upload(leaver.person, saved(corners(), "PNG")), 200)
    kept = Leaver(platform)
    assert len(in_tables(platform, leaver.words)) > 10, "there is something to be erased"
    leaver.deleted_by(admin)
    eventually(lambda: leaver.person.ask("GET", PROFILE).status_code == 401, 5, "the session has ended")
    eventually(lambda: leaver.is_erased(admin), 60, "every program has reported")
    for report in leaver.erasures(admin):
        assert report["waiting_for"] == [] and len(report["reports"]) == 6
    assert in_tables(platform, leaver.words) == []
    assert in_tables(platform, leaver.ids, ids=True) == []
    # What was committed is published a moment later.
    eventually(lambda: in_compacted_topics(platform, leaver.words) == [], 20, "the topics say nothing of them")
    eventually(lambda: all(each.startswith("auth.revocations") for each in in_compacted_topics(platform, leaver.ids)), 20,
               "nor their ids, but for revocations")
    assert in_logs(platform, leaver.words) == []
    # Others keep what is theirs, and the address is free again.
    assert kept.person.call(kept.call)["id"] == kept.call
    again = Person.registered(platform, email=leaver.email)
    assert again.user["id"] != leaver.person.user["id"] and again.get("/api/v1/calls")["calls"] == []


def test_only_an_admin_sees_or_does_it(owner, stranger):
    assert owner.ask("DELETE", f"/api/users/users/{stranger.user['id']}/").status_code == 403
    assert owner.ask("GET", "/api/users/erasures/").status_code == 403

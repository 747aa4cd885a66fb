# SPDX-License-Identifier: ISC
"""The tutorials' own files and values; and that docs/catalogue.md names tests that are there."""

import pathlib
import re
import shutil
import tempfile

import pytest
from house import ROOT, House

ALIASES = """# Basic system aliases -- these MUST be present
mailer-daemon:  postmaster
postmaster:     root
operator:       root
lp:             root
webmaster:      root
root:           ataylor,jsmith
user1:          user2
crew:           ataylor, jsmith, ataylor
"""
VIRTUAL = """# R207
admin@example.com    ataylor
admin@example.net    bsingh
sales@example.com    ataylor, bsingh@partner.example
"""
PEOPLE = ["ataylor", "jsmith", "bsingh", "user2"]


def rows():
    for line in (ROOT / "docs/catalogue.md").read_text().splitlines():
        found = re.match(r"\| ([RT]\d+) \| .* \| (.*) \|$", line)
        if found:
            yield found.groups()


@pytest.mark.parametrize("item, shown", [pytest.param(*row, id=row[0]) for row in rows()])
def test_the_tests_of_the_catalogue_exist(item, shown):
    if shown.startswith("missing: "):
        return
    for test in shown.split():
        path, _, name = test.partition("::")
        assert (ROOT / path).is_file(), f"{item}: {path}"
        assert not name or f"\ndef {name}(" in (ROOT / path).read_text(), f"{item}: {test}"


@pytest.mark.parametrize("number", [*range(146, 178), *range(195, 229), *range(247, 269)])
def test_each_item_of_settings_aliases_users_and_logins_has_a_test_named_after_it(number):
    """Sections 1.K, 1.M, 1.N and 1.P."""
    tests = [test for item, shown in rows() if item == f"R{number}" for test in shown.split()]
    assert any(re.search(rf"(?<![a-z0-9])[rR]{number}(?![0-9])", re.split("/|::", test)[-1].replace("_", " ")) for test in tests), tests


def many(count, between=","):
    return between.join(f"member{n}@else.example" for n in range(count))


@pytest.fixture(scope="module")
def house():
    place = pathlib.Path(tempfile.mkdtemp(prefix="mansio-catalogue-"))
    place.chmod(0o755)
    (place / "virtual").write_text(VIRTUAL + f"thousand@example.net {many(1000)}\nmore@example.net {many(1001)}\n")
    (place / "members").write_text(many(10000, "\n") + "\n" + many(10000, "\n") + "\n")
    (place / "aliases").write_text(ALIASES + f"big: :include:{place}/members\n")
    users = ", ".join(f"{{{name} = {name}:x:{5000 + n}:{5000 + n}::/home/{name}:/bin/sh}}" for n, name in enumerate(PEOPLE))
    with House(mydomain=None, myorigin="$mydomain", mydestination="$myhostname, localhost.$mydomain, localhost, $mydomain",
               alias_maps=f"hash:{place}/aliases", alias_database=f"hash:{place}/aliases",
               system_user_maps=f"inline:{{{users}, {{lowly = lowly:x:7:7::/:/bin/sh}}}}",
               virtual_alias_domains="example.net", virtual_alias_maps=f"hash:{place}/virtual") as house:
        house.at_work()
        yield house
    shutil.rmtree(place)


def ends(house, address):
    said = house.command("address", "test", address, check=False).stdout
    return re.findall(r"^goes to: ([^@\s]+)", said, re.M)


def test_names_follow_from_one_another(house):
    assert house.command("config", "show", "mydomain").stdout.strip().endswith("example.com")
    assert ends(house, "ataylor") == ["ataylor"]
    assert "goes to: ataylor@example.com" in house.command("address", "test", "ataylor").stdout


def test_the_standard_chain_of_aliases(house):
    for name in ["postmaster", "operator", "lp", "webmaster", "mailer-daemon", "root"]:
        assert sorted(ends(house, f"{name}@example.com")) == ["ataylor", "jsmith"], name
    assert ends(house, "user1@example.com") == ["user2"]


def test_several_targets_get_one_copy_each(house):
    assert sorted(ends(house, "crew@example.com")) == ["ataylor", "jsmith"]


def test_a_list_of_ten_thousand_has_each_once(house):
    found = ends(house, "big@example.com")
    assert len(found) == 10000 == len(set(found))


def test_virtual_aliases_become_a_thousand_addresses_and_no_more(house):
    assert len(ends(house, "thousand@example.net")) == 1000
    said = house.command("address", "test", "more@example.net", check=False)
    assert said.returncode != 0 and "554 5.2.4" in said.stdout


def test_what_would_become_of_mail_is_told(house):
    assert "goes to: user2@example.com (user, uid 5003)\n" in house.command("address", "test", "user1@example.com").stdout
    lowly = house.command("address", "test", "lowly@example.com", check=False)
    assert lowly.returncode == 1 and "lowly is a user, and uid 7 is below first_valid_uid" in lowly.stdout
    assert "refused: 550 5.1.1 User unknown in local recipient table" in lowly.stdout


def test_where_many_addresses_lead_is_told_in_a_line_each(house):
    """Of standard input, as postmap -q - does; what nobody has, or is not ours, has no line.  address test says the same of each."""
    asked = ["ataylor@example.com", "nobody@example.com", "ataylor+tag@example.com", "b@elsewhere.invalid", "no address", "", "user1@example.com"]
    done = house.command("address", "lookup", "-", input="\n".join(asked))
    told = dict(line.split("\t") for line in done.stdout.splitlines())
    assert done.returncode == 0 and done.stderr == "" and told["ataylor@example.com"] == "ataylor@example.com"
    for address in filter(None, asked):
        tested = house.command("address", "test", address, check=False).stdout
        assert (address in told) == ("(mailbox)" in tested or "(user, " in tested), (address, tested)
        for target in filter(None, told.get(address, "").split(", ")):
            assert f"goes to: {target}" in tested
    many = [f"ataylor+{i}@example.com" for i in range(20000)]
    assert house.command("address", "lookup", "-", input="\n".join(many) + "\n").stdout.splitlines() == [f"{a}\tataylor@example.com" for a in many]
    assert house.command("address", "lookup", "nobody@example.com", check=False).returncode == 1
    assert house.command("address", "lookup", "-", input="x" * 70000, check=False).returncode == 2


def test_the_virtual_file_of_two_domains(house):
    assert ends(house, "admin@example.com") == ["ataylor"]
    assert ends(house, "admin@example.net") == ["bsingh"]
    said = house.command("address", "test", "sales@example.com").stdout
    assert "goes to: ataylor@" in said and "goes to: bsingh@partner.example (elsewhere)" in said


def check(**settings):
    house = House(**settings)
    done = house.command("config", "check", check=False)
    house.close()
    return done.returncode, done.stdout + done.stderr


def test_R210_a_domain_in_two_classes_is_named_with_both_places():            # R210
    status, said = check(virtual_alias_domains="example.net, example.org", virtual_mailbox_domains="example.org")
    assert status != 0 and "example.org is both in virtual_alias_domains (line " in said and "and in virtual_mailbox_domains" in said


def test_T7_a_virtual_file_in_alias_maps_is_told_what_it_is(tmp_path):
    (tmp_path / "virtual").write_text("jack@example.com jack\n")
    (tmp_path / "mixed").write_text("jack@example.com: jack\n")
    for name, words in (("virtual", "virtual:1: \"jack@example.com jack\" is a line of a virtual(5) file, with full addresses; name that in virtual_alias_maps"),
                        ("mixed", "mixed:1: \"jack@example.com\" must be a name without a domain; an address is for virtual_alias_maps")):
        status, said = check(alias_maps=f"hash:{tmp_path}/{name}")
        assert status != 0 and words in said and f"alias_maps = hash:{tmp_path}/{name}" in said, said


def test_a_file_that_is_missing_is_named_with_its_setting():             # T12
    status, said = check(virtual_mailbox_domains="hash:/etc/postfix/virt_domain.is-not-there")
    assert status != 0
    assert "/etc/postfix/virt_domain.is-not-there: No such file or directory" in said
    assert "virtual_mailbox_domains = hash:/etc/postfix/virt_domain.is-not-there" in said

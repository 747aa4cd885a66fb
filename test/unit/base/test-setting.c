#include "unit.h"

#include <stdio.h>
#include <string.h>

#include "base/setting.h"

struct house {
	bool                tls, strict;
	int64_t             count, size, wait, small, memory;
	const char         *host, *origin, *banner, *run;
	struct setting_list networks;
	int                 level;
};
#define AT(f) offsetof(struct house, f)
static const struct setting rows[] = {
	{ "myhostname", SETTING_WORD, AT(host), "mx.example", "Our name.", NULL, 0, 0, "0.1" },
	{ "myorigin", SETTING_WORD, AT(origin), "$myhostname", "What we add.", NULL, 0, 0, "0.1" },
	{ "smtpd_banner", SETTING_TEXT, AT(banner), "$myhostname ESMTP", "The greeting.", NULL, 0,
	  0, "0.1" },
	{ "mynetworks", SETTING_LIST, AT(networks), "127.0.0.0/8, [::1]/128", "Ours.", NULL, 0, 0,
	  "0.1" },
	{ "smtpd_use_tls", SETTING_BOOL, AT(tls), "yes", "TLS.", NULL, 0, 0, "0.1" },
	{ "strict_rfc821_envelopes", SETTING_BOOL, AT(strict), "no", "Strict.", NULL, 0, 0, "0.1" },
	{ "default_process_limit", SETTING_NUMBER, AT(count), "100", "Most.", NULL, 0, 0, "0.1" },
	{ "small_number", SETTING_NUMBER, AT(small), "5", "Few.", NULL, -2, 10, "0.1" },
	{ "message_size_limit", SETTING_SIZE, AT(size), "50M", "Largest.", NULL, 1, 0, "0.1" },
	{ "smtpd_timeout", SETTING_TIME, AT(wait), "1m", "Patience.", NULL, 10, 90000, "0.1" },
	{ "smtpd_tls_security_level", SETTING_CHOICE, AT(level), "may", "TLS.", "none,may,encrypt",
	  0, 0, "0.1" },
	{ "mailbox_command", SETTING_TEXT, AT(run), "", "Run.", "shell", 0, 0, "0.1" },
	{ "search_memory", SETTING_SIZE, AT(memory), "4%", "Most.", "memory", 0, 0, "0.1" },
};
static const struct setting_table table = { "the house", rows, COUNT(rows) };

static struct buffer errors, warnings;

static struct settings *
read_text(const char *text)
{
	struct settings *s;

	buffer_reset(&errors);
	buffer_reset(&warnings);
	s = settings_read(bytes_of(text), "main.cf", &errors, &warnings);
	if (s != NULL)
		settings_tables(s, &table, 1);
	return s;
}

struct value_case {
	const char *why, *text, *name, *value, *warnings;
};
static const struct value_case values[] = {
	{ "the standard", "", "myhostname", "mx.example", "" },
	{ "a value", "myhostname = a.example\n", "myhostname", "a.example", "" },
	{ "no blanks about the =", "myhostname=a", "myhostname", "a", "" },
	{ "many blanks", "myhostname \t =\t a \t\n", "myhostname", "a", "" },
	{ "an empty value", "myhostname =\n", "myhostname", "", "" },
	{ "what the shell is to read",
	  "myhostname = a\nmailbox_command = x $$ $myhostname ${Y:-z} $(id\n", "mailbox_command",
	  "x $$ $myhostname ${Y:-z} $(id", "" },
	{ "an = in the value", "myhostname = a=b\n", "myhostname", "a=b", "" },
	{ "a # in the value", "myhostname = a # b\n", "myhostname", "a # b", "" },
	{ "lines of Windows", "myhostname = a\r\n b\r\n", "myhostname", "a b", "" },
	{ "a byte order mark", "\xef\xbb\xbfmyhostname = a\n", "myhostname", "a", "" },
	{ "remarks", "# one\n\n  # two\nmyhostname = a\n#three", "myhostname", "a", "" },
	{ "goes on", "mynetworks = a,\n b\n\tc\n", "mynetworks", "a, b c", "" },
	{ "goes on behind an empty first line", "mynetworks =\n a\n b\n", "mynetworks", "a b", "" },
	{ "goes on behind remarks", "mynetworks = a\n# no\n\n # no\n b\n", "mynetworks", "a b",
	  "" },
	{ "the last of two", "myhostname = a\nmyhostname = b\n", "myhostname", "b",
	  "main.cf:2: myhostname is set here again: this line counts, line 1 does not\n" },
	{ "the last of three", "myhostname = a\n\nmyhostname = b\nmyhostname = c\n", "myhostname",
	  "c",
	  "main.cf:3: myhostname is set here again: this line counts, line 1 does not\n"
	  "main.cf:4: myhostname is set here again: this line counts, line 3 does not\n" },
	{ "a listener is no duplicate", "a/myhostname = a\nmyhostname = b\n", "myhostname", "b",
	  "" },
	{ "a listener's own", "a/myhostname = a\nmyhostname = b\n", "a/myhostname", "a", "" },
	{ "what a listener has not", "myhostname = b\n", "a/myhostname", "b", "" },
	{ "a listener with an address", "[::1]:25/myhostname = a\n", "[::1]:25/myhostname", "a",
	  "" },
	{ "its names are its own", "a/myhostname = a\n", "a/smtpd_banner", "a ESMTP", "" },
	{ "and nobody else's", "a/myhostname = a\n", "smtpd_banner", "mx.example ESMTP", "" },
	{ "$ of a standard", "", "smtpd_banner", "mx.example ESMTP", "" },
	{ "$ of a value", "myhostname = a\n", "myorigin", "a", "" },
	{ "${}", "smtpd_banner = <${myhostname}>\n", "smtpd_banner", "<mx.example>", "" },
	{ "$()", "smtpd_banner = <$(myhostname)>\n", "smtpd_banner", "<mx.example>", "" },
	{ "a name ends where it ends", "smtpd_banner = $myhostname.$myhostname-x\n", "smtpd_banner",
	  "mx.example.mx.example-x", "" },
	{ "a name of the file's own", "me = you\nsmtpd_banner = $me\n", "smtpd_banner", "you", "" },
	{ "$$", "smtpd_banner = $$5 $$myhostname\n", "smtpd_banner", "$5 $myhostname", "" },
	{ "? when set", "smtpd_banner = ${myhostname?[$myhostname]}\n", "smtpd_banner",
	  "[mx.example]", "" },
	{ "? when empty", "me =\nsmtpd_banner = x${me?y}\n", "smtpd_banner", "x", "" },
	{ ": when set", "smtpd_banner = x${myhostname:y}\n", "smtpd_banner", "x", "" },
	{ ": when empty", "me =\nsmtpd_banner = x${me:y}\n", "smtpd_banner", "xy", "" },
	{ "one answer in braces", "smtpd_banner = ${myhostname?{ a }}b\n", "smtpd_banner", " a b",
	  "" },
	{ "both, set", "smtpd_banner = ${myhostname?{a b}:{c}}\n", "smtpd_banner", "a b", "" },
	{ "both, empty", "me =\nsmtpd_banner = ${me ? {a} : {c$myhostname}}\n", "smtpd_banner",
	  "cmx.example", "" },
	/* What postconf -x of Postfix 3.7 makes of the same. */
	{ "a comparison", "me = may\nsmtpd_banner = x${{$me} == {may} ? {yes} : {no}}z\n",
	  "smtpd_banner", "xyesz", "" },
	{ "without blanks", "me = may\nsmtpd_banner = ${{$me}!={may}?{yes}:{no}}\n", "smtpd_banner",
	  "no", "" },
	{ "blanks inside its braces do not count",
	  "me = may\nsmtpd_banner = ${{ $me } == { may } ? {yes} : {no}}\n", "smtpd_banner", "yes",
	  "" },
	{ "letters count", "me = MAY\nsmtpd_banner = ${{$me} == {may} ? {yes} : {no}}\n",
	  "smtpd_banner", "no", "" },
	{ "numbers are compared as such", "me = 10\nsmtpd_banner = ${{$me} < {9} ? {yes} : {no}}\n",
	  "smtpd_banner", "no", "" },
	{ "others as text", "smtpd_banner = ${{10x} < {9x} ? {yes} : {no}}\n", "smtpd_banner",
	  "yes", "" },
	{ "as many noughts as one likes", "smtpd_banner = ${{007} == {7} ? {yes} : {no}}\n",
	  "smtpd_banner", "yes", "" },
	{ "one answer", "smtpd_banner = x${{a} == {b} ? yes}\n", "smtpd_banner", "x", "" },
	{ "the other alone", "smtpd_banner = x${{a} == {b} : {no}}\n", "smtpd_banner", "xno", "" },
	{ "no question", "smtpd_banner = ${{a} >= {a}}\n", "smtpd_banner", "true", "" },
	{ "what nobody set", "smtpd_banner = ${{} == {} ? {e} : {n}}\n", "smtpd_banner", "e", "" },
	{ "a comparison within",
	  "me = 10\nsmtpd_banner = ${{a} <= {a} ? {${{$me} > {9} ? {both} : "
	  "{one}}} : {no}}\n",
	  "smtpd_banner", "both", "" },
	{ "levels", "smtpd_banner = ${{3.10} <level {3.9} ? {yes} : {no}}\n", "smtpd_banner", "no",
	  "" },
	{ "levels of other lengths", "smtpd_banner = ${{3.6.0} ==level {3.6} ? {yes} : {no}}\n",
	  "smtpd_banner", "yes", "" },
	{ "one inside another", "me =\nsmtpd_banner = ${me:${myhostname?{x}:{y}}}\n",
	  "smtpd_banner", "x", "" },
	{ "nobody knows it yet", "smtpd_banner = $home/.${extension?+$extension}\n", "smtpd_banner",
	  "$home/.${extension?+$extension}", "" },
	{ "postconf(5) ${name:text}: an unset name is an empty one",
	  "smtpd_banner = a${nobody:b}${nobody?c}d\n", "smtpd_banner", "abd", "" },
	{ "empty behind all names", "a = $b\nb = $c\nc =\n", "a", "", "" },
	{ "no such name", "", "nonsense", NULL, "" },
};

static void
test_values(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(values); i++) {
		const struct value_case *c = &values[i];
		struct settings         *s = read_text(c->text);
		SAME(c->why, buffer_bytes(&errors), BYTES(""));
		SAME(c->why, buffer_bytes(&warnings), bytes_of(c->warnings));
		HOLDS(c->why, s != NULL);
		for (int again = 0; again < 2; again++) {
			const char *value = settings_value(s, c->name);
			HOLDS(c->why, (value == NULL) == (c->value == NULL));
			SAME(c->why, bytes_of(value), bytes_of(c->value));
		}
		settings_close(&s);
		assert_null(s);
		settings_close(&s);
	}
}

struct error_case {
	const char *why, *text, *errors;
};
static const struct error_case grammar_errors[] = {
	{ "no =", "myhostname\n", "main.cf:1: \"myhostname\" has no \"=\"; write: name = value\n" },
	{ "no name", "\n= a\n", "main.cf:2: no name before the \"=\"; write: name = value\n" },
	{ "nothing to go on with", "# first\n  myhostname = a\n",
	  "main.cf:2: a line that begins with a blank continues the one before, and there is "
	  "none; let it begin in the first column\n" },
	{ "no name at all", "my host = a\n",
	  "main.cf:1: \"my host\" is not a name; a name has letters, digits, _ and -, perhaps "
	  "with a listener before it: submission/name\n" },
	{ "two listeners", "a/b/c = a\n",
	  "main.cf:1: \"a/b/c\" is not a name; a name has letters, digits, _ and -, perhaps "
	  "with a listener before it: submission/name\n" },
	{ "a control byte", "a = 1\nmyhostname = a\001b\n",
	  "main.cf:2: a control byte stands here; remove it\n" },
	{ "Latin-1", "myhostname = \xe4\n",
	  "main.cf:1: this is not UTF-8; save the file as UTF-8\n" },
	{ "no = in the line where it began", "\nmynetworks\n = b\n c\n",
	  "main.cf:2: \"mynetworks\" has no \"=\"; write: name = value\n" },
	{ "a bad byte in a continuation", "\nmynetworks = a\n b\n \001\n",
	  "main.cf:2: a control byte stands here; remove it\n" },
	{ "all of them, in order", "a\nb\n",
	  "main.cf:1: \"a\" has no \"=\"; write: name = value\n"
	  "main.cf:2: \"b\" has no \"=\"; write: name = value\n" },
};

static void
test_grammar_errors(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(grammar_errors); i++) {
		HOLDS(grammar_errors[i].why, read_text(grammar_errors[i].text) == NULL);
		SAME(grammar_errors[i].why, buffer_bytes(&errors),
		     bytes_of(grammar_errors[i].errors));
	}
	struct settings *s = read_text("# \xe4\001\n");
	HOLDS("a remark may hold anything", s != NULL);
	settings_close(&s);
}

static void
test_filling(void **state)
{
	struct settings *s = read_text("myhostname = a.example\n"
	                               "mynetworks = 10.0.0.0/8, {inet:1:2, x = y} ,, b\n"
	                               "smtpd_use_tls = NO\n"
	                               "small_number = -2\n"
	                               "message_size_limit = 2k\n"
	                               "smtpd_timeout = 70000ms\n"
	                               "smtpd_tls_security_level = Encrypt\n"
	                               "submission/smtpd_timeout = 30\n"
	                               "submission/myhostname = b.example\n");
	struct house     h, sub;

	(void)state;
	HOLDS("all is well", settings_fill(s, &table, NULL, &h, &errors));
	HOLDS("for a listener too", settings_fill(s, &table, "submission", &sub, &errors));
	SAME("no complaint", buffer_bytes(&errors), BYTES(""));
	assert_string_equal(h.host, "a.example");
	assert_string_equal(h.origin, "a.example");
	assert_string_equal(sub.host, "b.example");
	assert_string_equal(sub.banner, "b.example ESMTP");
	assert_int_equal(h.networks.count, 3);
	assert_string_equal(h.networks.item[0], "10.0.0.0/8");
	assert_string_equal(h.networks.item[1], "{inet:1:2, x = y}");
	assert_string_equal(h.networks.item[2], "b");
	assert_false(h.tls);
	assert_false(h.strict);
	assert_int_equal(h.count, 100);
	assert_int_equal(h.small, -2);
	assert_int_equal(h.size, 2048);
	assert_int_equal(h.wait, 70000);
	assert_int_equal(sub.wait, 30000);
	assert_int_equal(h.level, 2);
	settings_close(&s);
}

static const struct error_case fill_errors[] = {
	{ "no bool", "\nsmtpd_use_tls = maybe\n",
	  "main.cf:2: smtpd_use_tls = maybe: write yes or no\n" },
	{ "no number", "default_process_limit = many\n",
	  "main.cf:1: default_process_limit = many: write a whole number such as 100\n" },
	{ "an empty number", "default_process_limit =\n",
	  "main.cf:1: default_process_limit = : write a whole number such as 100\n" },
	{ "a number with a unit", "default_process_limit = 1k\n",
	  "main.cf:1: default_process_limit = 1k: write a whole number such as 100\n" },
	{ "below 0", "default_process_limit = -1\n",
	  "main.cf:1: default_process_limit = -1: write 0 or more\n" },
	{ "beyond 63 bits", "default_process_limit = 9223372036854775808\n",
	  "main.cf:1: default_process_limit = 9223372036854775808: write a whole number such as "
	  "100\n" },
	{ "below the least", "small_number = -3\n",
	  "main.cf:1: small_number = -3: write something from -2 to 10\n" },
	{ "above the most", "small_number = 11\n",
	  "main.cf:1: small_number = 11: write something from -2 to 10\n" },
	{ "no size", "message_size_limit = large\n",
	  "main.cf:1: message_size_limit = large: write a size such as 50M: a number, then K, M or "
	  "G or nothing\n" },
	{ "no unit", "message_size_limit = 5oM\n",
	  "main.cf:1: message_size_limit = 5oM: write a size such as 50M: a number, then K, M or "
	  "G or nothing\n" },
	{ "below the least, no upper end", "message_size_limit = 0\n",
	  "main.cf:1: message_size_limit = 0: write 1 or more\n" },
	{ "too large by its unit", "message_size_limit = 9223372036854775807G\n",
	  "main.cf:1: message_size_limit = 9223372036854775807G: write a smaller number\n" },
	{ "a part of the memory where that is not meant", "message_size_limit = 5%\n",
	  "main.cf:1: message_size_limit = 5%: write a size such as 50M: a number, then K, M or "
	  "G or nothing\n" },
	{ "more than all memory", "search_memory = 101%\n",
	  "main.cf:1: search_memory = 101%: write something from 0% to 100%\n" },
	{ "less than none", "search_memory = -1%\n",
	  "main.cf:1: search_memory = -1%: write something from 0% to 100%\n" },
	{ "no time", "smtpd_timeout = 5 minutes\n",
	  "main.cf:1: smtpd_timeout = 5 minutes: write a time such as 5m: a number, then s, m, h, "
	  "d or w\n" },
	{ "limits in the units people use", "smtpd_timeout = 5m\n",
	  "main.cf:1: smtpd_timeout = 5m: write something from 10ms to 90s\n" },
	{ "two words", "myhostname = a b\nmyorigin = x\nsmtpd_banner =\n",
	  "main.cf:1: myhostname = a b: write one word, without blanks\n" },
	{ "no choice", "smtpd_tls_security_level = must\n",
	  "main.cf:1: smtpd_tls_security_level = must: write one of: none, may, encrypt\n" },
	{ "a brace stays open", "mynetworks = a {b c\n",
	  "main.cf:1: mynetworks = a {b c: a \"{\" is opened and never closed\n" },
	{ "a circle of one", "smtpd_banner = x $smtpd_banner\n",
	  "main.cf:1: smtpd_banner = x $smtpd_banner: this leads back to itself: $smtpd_banner -> "
	  "$smtpd_banner\n" },
	{ "a circle of two", "a = $b\nb = $a\nsmtpd_banner = $a\n",
	  "main.cf:3: smtpd_banner = $a: this leads back to itself: $a -> $b -> $a\n" },
	{ "an open bracket", "smtpd_banner = ${a\n",
	  "main.cf:1: smtpd_banner = ${a: a bracket is opened and never closed; write ${name}\n" },
	{ "a $ alone", "smtpd_banner = 5 $ each\n",
	  "main.cf:1: smtpd_banner = 5 $ each: a $ stands alone; write $name, or $$ for the sign "
	  "itself\n" },
	{ "no question", "smtpd_banner = ${a!b}\n",
	  "main.cf:1: smtpd_banner = ${a!b}: write ${name}, ${name?text} or ${name:text}\n" },
	{ "a comparison with what", "smtpd_banner = ${{a} ~ {b} ? {c} : {d}}\n",
	  "main.cf:1: smtpd_banner = ${{a} ~ {b} ? {c} : {d}}: write ${{text} == {text} ? {text} : {text}}, with ==, !=, <, <=, > or >=\n" },
	{ "half a comparison", "smtpd_banner = ${{a} == b}\n",
	  "main.cf:1: smtpd_banner = ${{a} == b}: write ${{text} == {text} ? {text} : {text}}, with ==, !=, <, <=, > or >=\n" },
	{ "half a question", "smtpd_banner = ${a?{b}:c}\n",
	  "main.cf:1: smtpd_banner = ${a?{b}:c}: write ${name?{text}:{text}}\n" },
	{ "the listener's line", "smtpd_use_tls = no\nsubmission/smtpd_use_tls = 2\n",
	  "main.cf:2: submission/smtpd_use_tls = 2: write yes or no\n" },
	{ "every one of them", "smtpd_use_tls = a\nstrict_rfc821_envelopes = b\n",
	  "main.cf:1: smtpd_use_tls = a: write yes or no\n"
	  "main.cf:2: strict_rfc821_envelopes = b: write yes or no\n" },
	{ "a standard that names what is wrong is not to blame", "myhostname = a b\n",
	  "main.cf:1: myhostname = a b: write one word, without blanks\n" },
};

static void
test_fill_errors(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(fill_errors); i++) {
		struct settings *s = read_text(fill_errors[i].text);
		struct house     h = { 0 };
		HOLDS(fill_errors[i].why, s != NULL);
		HOLDS(fill_errors[i].why, !settings_fill(s, &table, "submission", &h, &errors));
		SAME(fill_errors[i].why, buffer_bytes(&errors), bytes_of(fill_errors[i].errors));
		(void)settings_fill(s, &table, "smtp", &h, &errors);
		SAME("another listener has no more to say", buffer_bytes(&errors),
		     bytes_of(fill_errors[i].errors));
		HOLDS("the standard stands there all the same", h.size > 0 && h.host != NULL);
		settings_close(&s);
	}
}

/* Values that would take forever or fill the memory are refused in time. */
static void
test_values_that_explode(void **state)
{
	struct buffer    text = { 0 };
	struct house     h;
	struct settings *s;

	(void)state;
	for (int i = 0; i < 60; i++)
		buffer_printf(&text, "a%d = $a%d$a%d$a%d\n", i, i + 1, i + 1, i + 1);
	buffer_printf(&text, "a60 =\nsmtpd_banner = $a0\n");
	buffer_add_char(&text, '\0');
	s = read_text(text.at);
	HOLDS("an empty explosion", !settings_fill(s, &table, NULL, &h, &errors));
	HOLDS("and why", bytes_search(buffer_bytes(&errors), BYTES("far too much")) > 0);
	settings_close(&s);

	buffer_reset(&text);
	for (int i = 0; i < 100000; i++)
		buffer_printf(&text, "a%d = $a%d\n", i, i + 1);
	buffer_printf(&text, "smtpd_banner = $a0\n");
	buffer_add_char(&text, '\0');
	s = read_text(text.at);
	HOLDS("a deep one", !settings_fill(s, &table, NULL, &h, &errors));
	settings_close(&s);

	buffer_reset(&text);
	buffer_add_string(&text, "smtpd_banner = ");
	for (int i = 0; i < 100000; i++)
		buffer_add_string(&text, "${smtpd_use_tls?");
	for (int i = 0; i < 100000; i++)
		buffer_add_char(&text, '}');
	buffer_add_char(&text, '\0');
	s = read_text(text.at);
	HOLDS("a deep question", !settings_fill(s, &table, NULL, &h, &errors));
	(void)settings_unknown(s, &warnings);
	settings_close(&s);
	buffer_free(&text);
}

static const struct error_case unknowns[] = {
	{ "all known", "myhostname = a\na/myorigin = b\n", "" },
	{ "a letter too few", "\nmyhostnme = a\n",
	  "main.cf:2: myhostnme is not a setting; did you mean myhostname?\n" },
	{ "letters swapped", "mynetwroks = a\n",
	  "main.cf:1: mynetwroks is not a setting; did you mean mynetworks?\n" },
	{ "behind a listener", "sub/smtpd_timout = a\n",
	  "main.cf:1: smtpd_timout is not a setting; did you mean smtpd_timeout?\n" },
	{ "like nothing", "biff = no\n",
	  "main.cf:1: biff is not a setting; those there are stand in main.cf(5)\n" },
	{ "another server's", "inet_interfaces = all\n",
	  "main.cf:1: inet_interfaces means nothing here: listen_smtp says it\n" },
	{ "set to be asked for", "me = you\nsmtpd_banner = $me\n", "" },
	{ "set to be asked for, far inside", "me = you\nsmtpd_banner = ${myhostname?{}:{$me}}\n",
	  "" },
	{ "asked for and not there", "smtpd_banner = $myhostnam\n",
	  "main.cf:1: $myhostnam is not a setting; did you mean $myhostname?\n" },
	{ "known when a letter is delivered", "smtpd_banner = $home $user\n", "" },
	{ "a dollar is no name", "smtpd_banner = $$nothing\n", "" },
	{ "the shell's own", "mailbox_command = procmail -a \"$EXTENSION\" ${X:-y}\n", "" },
};

static void
test_unknown_names(void **state)
{
	static const struct setting_elsewhere others[] = { { "inet_interfaces",
		                                             "listen_smtp says it" } };

	(void)state;
	for (size_t i = 0; i < COUNT(unknowns); i++) {
		struct settings *s = read_text(unknowns[i].text);
		settings_elsewhere(s, others, COUNT(others));
		HOLDS(unknowns[i].why,
		      settings_unknown(s, &warnings) == (unknowns[i].errors[0] != '\0'));
		SAME(unknowns[i].why, buffer_bytes(&warnings), bytes_of(unknowns[i].errors));
		settings_close(&s);
	}
}

static void
test_entries_in_their_order(void **state)
{
	struct settings     *s = read_text("a = 1\nb = $a\na = 2\nx/a =\n  3\n");
	struct setting_entry e;

	(void)state;
	assert_true(settings_entry(s, 0, &e));
	assert_string_equal(e.name, "b");
	assert_string_equal(e.value, "$a");
	assert_true(settings_entry(s, 1, &e));
	assert_string_equal(e.name, "a");
	assert_int_equal(e.line, 3);
	assert_true(settings_entry(s, 2, &e));
	assert_string_equal(e.name, "x/a");
	assert_string_equal(e.value, "3");
	assert_false(settings_entry(s, 3, &e));
	assert_int_equal(settings_line(s, "b"), 2);
	assert_int_equal(settings_line(s, "a"), 3);
	assert_int_equal(settings_line(s, "x/a"), 4);
	assert_int_equal(settings_line(s, "nothing"), 0);
	settings_close(&s);
}

struct edit_case {
	const char *why, *text, *value, *wanted; /* of the name "b" */
};
static const struct edit_case edits[] = {
	{ "in its place", "a = 1\nb = 2\nc = 3\n", "4", "a = 1\nb = 4\nc = 3\n" },
	{ "appended", "a = 1\n", "4", "a = 1\nb = 4\n" },
	{ "to nothing", "", "4", "b = 4\n" },
	{ "no newline at the end", "a = 1", "4", "a = 1\nb = 4\n" },
	{ "no newline behind it", "a = 1\nb = 2", "4", "a = 1\nb = 4\n" },
	{ "its continuations go", "b = 1,\n  2,\n\t3\nc = 1\n", "4", "b = 4\nc = 1\n" },
	{ "remarks inside stay", "b = 1,\n# why\n\n  2\nc = 1\n", "4", "b = 4\n# why\n\nc = 1\n" },
	{ "remarks about stay", "# x\nb = 1\n# y\n", "4", "# x\nb = 4\n# y\n" },
	{ "the last of two", "b = 1\nb = 2\n", "4", "b = 1\nb = 4\n" },
	{ "not one that begins alike", "bb = 1\nx/b = 2\n#b = 3\n", "4",
	  "bb = 1\nx/b = 2\n#b = 3\nb = 4\n" },
	{ "lines of Windows", "a = 1\r\nb = 2\r\n", "4", "a = 1\r\nb = 4\r\n" },
	{ "empty", "b = 1\n", "", "b =\n" },
	{ "several lines", "b = 1\nc = 2\n", "x,\n y,\n\n z\n", "b = x,\n\ty,\n\tz\nc = 2\n" },
	{ "a line that would be a remark", "", "x\n#y", "b = x #y\n" },
	{ "taken out", "a = 1\nb = 2\n# y\n  3\nc = 4\nb = 5", NULL, "a = 1\n# y\nc = 4\n" },
	{ "taken out where it was not", "a = 1", NULL, "a = 1" },
};

static void
test_editing(void **state)
{
	struct buffer out = { 0 };

	(void)state;
	for (size_t i = 0; i < COUNT(edits); i++) {
		buffer_reset(&out);
		settings_edit(bytes_of(edits[i].text), "b", edits[i].value, &out);
		SAME(edits[i].why, buffer_bytes(&out), bytes_of(edits[i].wanted));
	}
	buffer_free(&out);
	buffer_free(&errors);
	buffer_free(&warnings);
}

static bool
know_reply(void *ctx, struct bytes name, struct bytes *value)
{
	*value = bytes_is(name, "rbl_code")     ? BYTES("554")
	         : bytes_is(name, "rbl_reason") ? bytes_of(ctx)
	                                        : BYTES("");
	return true;
}

/* What postconf(5) says of default_rbl_reply. */
static void
test_names_settled_later(void **state)
{
	static const struct {
		const char *why, *text;
		const char *reason, *expanded;
	} cases[] = {
		{ "a name", "$rbl_code x", "", "554 x" },
		{ "in braces", "${rbl_code}x$(rbl_code)", "", "554x554" },
		{ "asked for, and there", "a${rbl_reason?; $rbl_reason}", "spam", "a; spam" },
		{ "asked for, and not there", "a${rbl_reason?; $rbl_reason}", "", "a" },
		{ "the other way round", "a${rbl_reason:none}", "", "anone" },
		{ "both", "a${rbl_reason?{yes}:{no}}", "", "ano" },
		{ "a name nobody knows", "a$nothing b", "", "a b" },
		{ "a dollar", "a$$b", "", "a$b" },
		{ "a value is data", "$rbl_reason", "$rbl_code", "$rbl_code" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct buffer out = { 0 };
		char          reason[32];
		(void)bytes_string(bytes_of(cases[i].reason), reason, sizeof reason);
		settings_expand_later(bytes_of(cases[i].text), know_reply, reason, &out);
		SAME(cases[i].why, buffer_bytes(&out), bytes_of(cases[i].expanded));
		buffer_free(&out);
	}
}

/* What the kernel tells in /proc/meminfo, by which 100% is held. */
static int64_t
memory_of_machine(void)
{
	FILE *f = fopen("/proc/meminfo", "re");
	long  kib = 0;

	assert_non_null(f);
	assert_int_equal(fscanf(f, "MemTotal: %ld kB", &kib), 1);
	(void)fclose(f);
	return (int64_t)kib * 1024;
}

static void
test_parts_of_the_memory(void **state)
{
	static const struct {
		const char *why, *text;
		int64_t     percent;
	} cases[] = {
		{ "the standard", "", 4 },
		{ "all of it", "search_memory = 100%\n", 100 },
		{ "nothing", "search_memory = 0%\n", 0 },
	};
	int64_t all = memory_of_machine();

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct house     h;
		struct settings *s = read_text(cases[i].text);

		HOLDS(cases[i].why, settings_fill(s, &table, NULL, &h, &errors));
		HOLDS(cases[i].why, h.memory >= all / 100 * cases[i].percent - 4096 &&
		                            h.memory <= all / 100 * cases[i].percent + 4096);
		settings_close(&s);
	}
	buffer_free(&errors);
	buffer_free(&warnings);
}

UNIT(test_parts_of_the_memory, test_names_settled_later, test_values, test_grammar_errors,
     test_filling, test_fill_errors, test_values_that_explode, test_unknown_names,
     test_entries_in_their_order, test_editing)

/* CAPABILITY: what we can do */
#include "access/imap/capability.h"

#include "access/imap/limit.h"
#include "access/imap/session.h"

/* LITERAL- before login, where a literal is 4096 bytes at most; LITERAL+ after it: rfc7888:5
   forbids both at one time. */
static bool
compress_holds(const struct imap *s)
{
	return !stream_is_compressed(s->stream);
}

static bool
unauthenticate_holds(const struct imap *s)
{
	return imap_config_of(s)->rows.unauthenticate;
}

static bool
appendlimit_holds(const struct imap *s)
{
	return imap_config_of(s)->message_size_limit > 0;
}

static void
appendlimit_value(const struct imap *s, struct buffer *out)
{
	buffer_add_number(out, imap_config_of(s)->message_size_limit);
}

static bool
messagelimit_holds(const struct imap *s)
{
	return limit_most(s) > 0;
}

/* No command on so many messages is cut or refused: where fewer may be saved, it is that many. */
static void
messagelimit_value(const struct imap *s, struct buffer *out)
{
	buffer_add_number(out, limit_saves(s));
}

/* It stands instead of the other, not beside it (rfc9738:3). */
static bool
savelimit_holds(const struct imap *s)
{
	return limit_most(s) == 0 && limit_saves(s) > 0;
}

static void
savelimit_value(const struct imap *s, struct buffer *out)
{
	buffer_add_number(out, limit_saves(s));
}

/* clang-format off */
const struct capability imap_capabilities[] = {
	/* word               rfc          when          where                        shown by                                   */
	{ "IMAP4rev1",        "rfc3501",   ALWAYS,       "all commands",              "dialogue capability-after-login-is-imap4rev1", NULL, NULL },
	{ "IMAP4rev2",        "rfc9051",   ALWAYS,       "ENABLE, all commands",      "dialogue rev2-select-tells-list-and-nothing-recent", NULL, NULL },
	{ "LITERAL-",         "rfc7888",   BEFORE_LOGIN, "login/login.c",             "dialogue before-login-literals-are-small", NULL, NULL },
	{ "LITERAL+",         "rfc7888",   AFTER_LOGIN,  "input.c",                   "dialogue a-literal-may-come-unasked",     NULL, NULL },
	{ "SASL-IR",          "rfc4959",   ALWAYS,       "login/imap.c AUTHENTICATE", "unit access/login",                       NULL, NULL },
	{ "ENABLE",           "rfc5161",   ALWAYS,       "ENABLE",                    "dialogue enable-condstore",               NULL, NULL },
	{ "ID",               "rfc2971",   ALWAYS,       "ID",                        "dialogue namespace-and-id",               NULL, NULL },
	{ "IDLE",             "rfc2177",   ALWAYS,       "IDLE",                      "dialogue idle-tells-what-others-do",      NULL, NULL },
	{ "NAMESPACE",        "rfc2342",   AFTER_LOGIN,  "NAMESPACE",                 "dialogue namespace-and-id",               NULL, NULL },
	{ "UIDPLUS",          "rfc4315",   AFTER_LOGIN,  "APPEND COPY UID EXPUNGE",   "dialogue copy-tells-the-new-uids",        NULL, NULL },
	{ "MULTIAPPEND",      "rfc3502",   AFTER_LOGIN,  "APPEND",                    "dialogue multiappend-is-all-or-nothing",  NULL, NULL },
	{ "APPENDLIMIT=",     "rfc7889",   AFTER_LOGIN,  "APPEND STATUS",             "dialogue appendlimit-is-told-and-kept",   appendlimit_holds, appendlimit_value },
	{ "MESSAGELIMIT=",    "rfc9738",   AFTER_LOGIN,  "FETCH STORE SEARCH SORT THREAD COPY MOVE EXPUNGE APPEND limit.c", "dialogue a-command-works-on-so-many-messages", messagelimit_holds, messagelimit_value },
	{ "SAVELIMIT=",       "rfc9738",   AFTER_LOGIN,  "COPY APPEND limit.c",       "dialogue a-copy-saves-so-many-messages",  savelimit_holds, savelimit_value },
	{ "BINARY",           "rfc3516",   AFTER_LOGIN,  "FETCH APPEND decoding.c",   "dialogue binary-is-without-transfer-encoding", NULL, NULL },
	{ "CATENATE",         "rfc4469",   AFTER_LOGIN,  "APPEND REPLACE url.c resource.c", "dialogue catenate-joins-pieces-of-letters", NULL, NULL },
	{ "COMPRESS=DEFLATE", "rfc4978",   AFTER_LOGIN,  "COMPRESS channel/press.c",  "whole test_imap_core.py", compress_holds, NULL },
	{ "UNAUTHENTICATE",   "rfc8437",   AFTER_LOGIN,  "UNAUTHENTICATE login/login.c", "dialogue unauthenticate-goes-back-to-the-login", unauthenticate_holds, NULL },
	{ "URL-PARTIAL",      "rfc5550",   AFTER_LOGIN,  "APPEND url.c",              "dialogue catenate-takes-a-part-of-a-part", NULL, NULL },
	{ "URLAUTH=BINARY",   "rfc5524",   AFTER_LOGIN,  "URLFETCH", "dialogue urlfetch-takes-the-transfer-encoding-off", NULL, NULL },
	{ "URLAUTH",          "rfc4467",   AFTER_LOGIN,  "GENURLAUTH RESETKEY URLFETCH url.c", "dialogue a-signed-url-is-read-by-whom-it-admits", NULL, NULL },
	{ "REPLACE",          "rfc8508",   AFTER_LOGIN,  "REPLACE",                   "dialogue replace-appends-and-expunges",   NULL, NULL },
	{ "MOVE",             "rfc6851",   AFTER_LOGIN,  "MOVE",                      "dialogue move-tells-copyuid-then-expunge", NULL, NULL },
	{ "UNSELECT",         "rfc3691",   AFTER_LOGIN,  "UNSELECT",                  "dialogue unselect-does-not-expunge",      NULL, NULL },
	{ "CHILDREN",         "rfc3348",   AFTER_LOGIN,  "LIST",                      "dialogue create-delete-and-list",         NULL, NULL },
	{ "LIST-EXTENDED",    "rfc5258",   AFTER_LOGIN,  "LIST",                      "dialogue list-recursivematch-tells-of-children", NULL, NULL },
	{ "LIST-STATUS",      "rfc5819",   AFTER_LOGIN,  "LIST",                      "dialogue list-returns-status-too",        NULL, NULL },
	{ "SPECIAL-USE",      "rfc6154",   AFTER_LOGIN,  "LIST",                      "dialogue list-knows-special-uses",        NULL, NULL },
	{ "CREATE-SPECIAL-USE", "rfc6154", AFTER_LOGIN,  "CREATE",                    "dialogue create-with-a-special-use",      NULL, NULL },
	{ "CONDSTORE",        "rfc7162",   AFTER_LOGIN,  "FETCH STORE SEARCH SELECT STATUS", "dialogue condstore-tells-modseqs", NULL, NULL },
	{ "QRESYNC",          "rfc7162",   AFTER_LOGIN,  "ENABLE SELECT FETCH resync.c", "dialogue qresync-tells-what-vanished-and-changed", NULL, NULL },
	{ "OBJECTID",         "rfc8474",   AFTER_LOGIN,  "FETCH STATUS SELECT CREATE SEARCH objectid.c", "dialogue objectids-follow-a-message", NULL, NULL },
	{ "SAVEDATE",         "rfc8514",   AFTER_LOGIN,  "FETCH SEARCH",              "dialogue savedate-is-of-the-mailbox",     NULL, NULL },
	{ "PREVIEW",          "rfc8970",   AFTER_LOGIN,  "FETCH",                     "dialogue preview-is-text",                NULL, NULL },
	{ "UIDONLY",          "rfc9586",   AFTER_LOGIN,  "ENABLE session.c",          "dialogue uidonly-knows-no-numbers",       NULL, NULL },
	{ "NOTIFY",           "rfc5465",   AFTER_LOGIN,  "NOTIFY notify.c IDLE",      "dialogue notify-tells-of-other-mailboxes", NULL, NULL },
	{ "UIDBATCHES",       "rfc10022",  AFTER_LOGIN,  "UIDBATCHES",                "dialogue uidbatches-reach-down-to-one", NULL, NULL },
	{ "INPROGRESS",       "rfc9585",   AFTER_LOGIN,  "SEARCH SORT THREAD session.c", "dialogue a-long-search-tells-how-far-it-is", NULL, NULL },
	{ "ESEARCH",          "rfc4731",   AFTER_LOGIN,  "SEARCH",                    "dialogue search-returns-min-max-count",   NULL, NULL },
	{ "SEARCHRES",        "rfc5182",   AFTER_LOGIN,  "SEARCH returns.c",          "dialogue search-result-is-a-set",         NULL, NULL },
	{ "PARTIAL",          "rfc9394",   AFTER_LOGIN,  "SEARCH SORT FETCH",         "dialogue search-returns-a-part",          NULL, NULL },
	{ "SORT",             "rfc5256",   AFTER_LOGIN,  "SORT",                      "dialogue sort-by-every-key",              NULL, NULL },
	{ "SORT=DISPLAY",     "rfc5957",   AFTER_LOGIN,  "SORT",                      "dialogue sort-by-every-key",              NULL, NULL },
	{ "ESORT",            "rfc5267",   AFTER_LOGIN,  "SORT returns.c",            "dialogue sort-returns-what-is-asked",     NULL, NULL },
	{ "THREAD=ORDEREDSUBJECT", "rfc5256", AFTER_LOGIN, "THREAD threads.c",         "dialogue threads-by-subject-and-references", NULL, NULL },
	{ "THREAD=REFERENCES", "rfc5256",  AFTER_LOGIN,  "THREAD threads.c",          "dialogue threads-by-subject-and-references", NULL, NULL },
	{ "THREAD=REFS",      "draft-ietf-morg-inthread", AFTER_LOGIN, "THREAD threads.c", "dialogue threads-by-subject-and-references", NULL, NULL },
	{ "WITHIN",           "rfc5032",   AFTER_LOGIN,  "SEARCH program.c",          "unit access/session",                     NULL, NULL },
	{ "I18NLEVEL=1",      "rfc5255",   AFTER_LOGIN,  "SEARCH SORT THREAD message/fold.c", "dialogue letters-are-alike-however-they-are-composed", NULL, NULL },
	{ "MULTISEARCH",      "rfc7377",   AFTER_LOGIN,  "ESEARCH sources.c",         "dialogue esearch-looks-into-many-mailboxes", NULL, NULL },
	{ "CONTEXT=SEARCH",   "rfc5267",   AFTER_LOGIN,  "SEARCH CANCELUPDATE contexts.c", "dialogue a-search-is-kept-up-to-date", NULL, NULL },
	{ "CONTEXT=SORT",     "rfc5267",   AFTER_LOGIN,  "SORT CANCELUPDATE contexts.c", "dialogue a-sorted-search-is-kept-up-to-date", NULL, NULL },
	{ "SEARCH=FUZZY",     "rfc6203",   AFTER_LOGIN,  "SEARCH SORT program.c",     "dialogue fuzzy-finds-words-in-any-order", NULL, NULL },
	{ "STATUS=SIZE",      "rfc8438",   AFTER_LOGIN,  "STATUS",                    "dialogue status-adds-up-sizes",           NULL, NULL },
	{ "ACL",              "rfc4314",   AFTER_LOGIN,  "SETACL DELETEACL GETACL LISTRIGHTS MYRIGHTS reach.c", "dialogue another-users-mailbox-is-there-as-far-as-rights-go", NULL, NULL },
	{ "RIGHTS=kxte",      "rfc4314",   AFTER_LOGIN,  "SETACL",                    "dialogue rights-are-given-and-taken",     NULL, NULL },
	{ "LIST-MYRIGHTS",    "rfc8440",   AFTER_LOGIN,  "LIST",                      "dialogue another-users-mailbox-is-there-as-far-as-rights-go", NULL, NULL },
	{ "QUOTA",            "rfc9208",   AFTER_LOGIN,  "GETQUOTA GETQUOTAROOT",     "test/whole/test_rights.py",               NULL, NULL },
	{ "QUOTA=RES-STORAGE", "rfc9208",  AFTER_LOGIN,  "GETQUOTA STATUS",           "test/whole/test_rights.py",               NULL, NULL },
	{ "QUOTA=RES-MESSAGE", "rfc9208",  AFTER_LOGIN,  "GETQUOTA STATUS",           "test/whole/test_rights.py",               NULL, NULL },
	{ "QUOTASET",         "rfc9208",   AFTER_LOGIN,  "SETQUOTA role/keeper-limits.c", "test/whole/test_rights.py",           NULL, NULL },
	{ "METADATA",         "rfc5464",   AFTER_LOGIN,  "GETMETADATA SETMETADATA",   "dialogue metadata-examples-of-the-rfc",   NULL, NULL },
	{ "METADATA-SERVER",  "rfc5464",   AFTER_LOGIN,  "GETMETADATA SETMETADATA",   "dialogue the-server-has-notes-too",       NULL, NULL },
	{ "LIST-METADATA",    "rfc9590",   AFTER_LOGIN,  "LIST",                      "dialogue list-returns-metadata",          NULL, NULL },
	{ "UTF8=ACCEPT",      "rfc6855",   AFTER_LOGIN,  "ENABLE grammar.c write.c",  "dialogue utf8-accept-changes-how-names-look", NULL, NULL },
};
/* clang-format on */
const size_t imap_capability_count = COUNT(imap_capabilities);

static void
write_when(const struct imap *s, enum capability_when when, struct buffer *out)
{
	bool any = false;

	for (size_t i = 0; i < imap_capability_count; i++) {
		const struct capability *c = &imap_capabilities[i];
		if (!(c->when & when) || (c->holds != NULL && !c->holds(s)))
			continue;
		if (any)
			buffer_add_char(out, ' ');
		any = true;
		buffer_add_string(out, c->word);
		if (c->value != NULL)
			c->value(s, out);
	}
}

void
capability_write(const struct imap *s, struct buffer *out)
{
	write_when(s, AFTER_LOGIN, out);
}

void
capability_write_before(struct buffer *out)
{
	write_when(NULL, BEFORE_LOGIN, out);
}

static void
capability_parse(struct imap *s, struct scan *r)
{
	(void)s;
	(void)r;
}

static enum imap_step
capability_run(struct imap *s)
{
	struct buffer *out = imap_out(s);

	buffer_add_string(out, "* CAPABILITY ");
	capability_write(s, out);
	buffer_add_string(out, "\r\n");
	return imap_ok(s, "Capability completed.");
}

const struct imap_command imap_capability = {
	.name = "CAPABILITY",
	.rfc = "rfc9051:6.1.1",
	.in = ANYWHERE,
	.effect = MAY_EXPUNGE | NEEDS_NO_MESSAGE,
	.parse = capability_parse,
	.run = capability_run,
};

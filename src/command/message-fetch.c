/*
 * message-fetch -- rows of what is asked about messages, large ones passed through
 *
 * A field is a row of the table: the FETCH item it is made of, and how.  What is small comes for all messages
 * of a mailbox at once; where a field is large (text, body, hdr) each message is asked about by itself, so
 * that its bytes go from the server to the output and are never gathered.
 */

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "command/message.h"
#include "message/date.h"

enum { FIELDS_MOST = 64, SMALL_MOST = 1 << 20 };

/* ---- CRLF becomes LF ---- */

void
plain_piece(struct plain *p, struct bytes text, void (*put)(void *, struct bytes), void *ctx)
{
	size_t from = 0;

	if (p->cr && text.len > 0 && text.at[0] != '\n')
		put(ctx, BYTES("\r"));
	if (text.len > 0)
		p->cr = false;
	for (size_t i = 0; i < text.len; i++) {
		if (text.at[i] != '\r')
			continue;
		p->cr = i + 1 == text.len;
		if (p->cr || text.at[i + 1] == '\n') {
			put(ctx, bytes_cut(text, from, i - from));
			from = i + 1;
		}
	}
	put(ctx, bytes_cut(text, from, text.len));
}

void
plain_end(struct plain *p, void (*put)(void *, struct bytes), void *ctx)
{
	if (p->cr)
		put(ctx, BYTES("\r"));
	p->cr = false;
}

/* ---- fields ---- */

struct row; /* one message under way */
struct fetched_field;
typedef void field_print(struct output *, const struct row *, const struct fetched_field *);

static field_print print_value, print_user, print_mailbox, print_mailbox_id, print_seq, print_uidl,
	print_date, print_sent, print_header, print_raw;

/* clang-format off */
static const struct field_row {
	const char  *name, *item;    /* name "hdr.": with a field's name behind it */
	field_print *print;          /* NULL: large, passed through                */
} rows[] = {
	{ "uid",           "UID",                             print_value      },
	{ "seq",           "UID",                             print_seq        },
	{ "flags",         "FLAGS",                           print_raw        },
	{ "user",          "UID",                             print_user       },
	{ "mailbox",       "UID",                             print_mailbox    },
	{ "mailbox-guid",  "UID",                             print_mailbox_id },
	{ "id",            "EMAILID",                         print_raw        },
	{ "guid",          "EMAILID",                         print_raw        },
	{ "pop3.uidl",     "UID",                             print_uidl       },
	{ "date.received", "INTERNALDATE",                    print_date       },
	{ "date.saved",    "SAVEDATE",                        print_date       },
	{ "date.sent",     "BODY.PEEK[HEADER.FIELDS (DATE)]", print_sent       },
	{ "size",          "RFC822.SIZE",                     print_value      },
	{ "size.virtual",  "RFC822.SIZE",                     print_value      },
	{ "size.physical", "RFC822.SIZE",                     print_value      },
	{ "modseq",        "MODSEQ",                          print_raw        },
	{ "imap.envelope", "ENVELOPE",                        print_raw        },
	{ "imap.body",     "BODY",                            print_raw        },
	{ "imap.bodystructure", "BODYSTRUCTURE",              print_raw        },
	{ "preview",       "PREVIEW",                         print_value      },
	{ "body.preview",  "PREVIEW",                         print_value      },
	{ "hdr",           "BODY.PEEK[HEADER]",               NULL             },
	{ "body",          "BODY.PEEK[TEXT]",                 NULL             },
	{ "text",          "BODY.PEEK[]",                     NULL             },
	{ "hdr.",          "BODY.PEEK[HEADER.FIELDS (%s)]",   print_header     },
	{ "body.",         "BODY.PEEK[%s]",                   NULL             },
};
/* clang-format on */

struct fetched_field {
	const struct field_row *row;
	char                    name[80], item[140];
	struct buffer           value; /* of the message under way                */
};
struct row {
	const char *user, *mailbox, *mailbox_id;
	uint32_t    uidvalidity, uid, seq;
};
struct fetching {
	struct message_work *work;
	struct fetched_field field[FIELDS_MOST];
	const char          *column[FIELDS_MOST];
	size_t               fields;
	bool                 large;
	struct output       *out;
	struct row           row;
	const struct chosen *chosen;
	struct plain         plain;
	bool                 there; /* the message was still there               */
};

static void
print_value(struct output *o, const struct row *r, const struct fetched_field *f)
{
	(void)r;
	output_value(o, buffer_bytes(&f->value));
}

/* Without the parentheses around. */
static void
print_raw(struct output *o, const struct row *r, const struct fetched_field *f)
{
	struct bytes text = buffer_bytes(&f->value);

	(void)r;
	if (text.len >= 2 && text.at[0] == '(' && text.at[text.len - 1] == ')')
		text = bytes_cut(text, 1, text.len - 2);
	output_value(o, text);
}

static void
print_user(struct output *o, const struct row *r, const struct fetched_field *f)
{
	(void)f;
	output_value(o, bytes_of(r->user));
}

static void
print_mailbox(struct output *o, const struct row *r, const struct fetched_field *f)
{
	(void)f;
	output_value(o, bytes_of(r->mailbox));
}

static void
print_mailbox_id(struct output *o, const struct row *r, const struct fetched_field *f)
{
	(void)f;
	output_value(o, bytes_of(r->mailbox_id));
}

static void
print_seq(struct output *o, const struct row *r, const struct fetched_field *f)
{
	(void)f;
	output_text(o, "%" PRIu32, r->seq);
}

/* As UIDL says it (access/pop3). */
static void
print_uidl(struct output *o, const struct row *r, const struct fetched_field *f)
{
	(void)f;
	output_text(o, "%08" PRIx32 "%08" PRIx32, r->uid, r->uidvalidity);
}

static void
print_moment(struct output *o, int64_t seconds)
{
	char      text[24] = "";
	time_t    t = (time_t)seconds;
	struct tm tm;

	if (localtime_r(&t, &tm) != NULL)
		(void)strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &tm);
	output_value(o, bytes_of(text));
}

static void
print_date(struct output *o, const struct row *r, const struct fetched_field *f)
{
	int64_t seconds;
	int32_t zone;

	(void)r;
	if (imap_datetime_parse(bytes_trim(buffer_bytes(&f->value)), &seconds, &zone))
		print_moment(o, seconds);
	else
		output_value(o, (struct bytes){ NULL, 0 });
}

/* What stands behind "Name:" of the first field, unfolded. */
static struct bytes
field_body(const struct fetched_field *f, struct buffer *out)
{
	struct bytes rest = buffer_bytes(&f->value), line;
	ptrdiff_t    colon = bytes_find(rest, ':');
	bool         first = true;

	rest = bytes_cut(rest, colon < 0 ? rest.len : (size_t)colon + 1, rest.len);
	while (bytes_split(&rest, '\n', &line) &&
	       (first || (line.len > 0 && (line.at[0] == ' ' || line.at[0] == '\t')))) {
		if (!first)
			buffer_add_char(out, ' ');
		buffer_add(out, bytes_trim(line));
		first = false;
	}
	return buffer_bytes(out);
}

static void
print_header(struct output *o, const struct row *r, const struct fetched_field *f)
{
	struct buffer text = { 0 };

	(void)r;
	output_value(o, field_body(f, &text));
	buffer_free(&text);
}

static void
print_sent(struct output *o, const struct row *r, const struct fetched_field *f)
{
	struct buffer text = { 0 };
	int64_t       seconds;
	int32_t       zone;

	(void)r;
	if (date_parse(field_body(f, &text), &seconds, &zone))
		print_moment(o, seconds);
	else
		output_value(o, (struct bytes){ NULL, 0 });
	buffer_free(&text);
}

/* ---- asking ---- */

static bool
is_section_text(struct bytes text, bool header)
{
	for (size_t i = 0; i < text.len; i++)
		if (header ? text.at[i] <= ' ' || text.at[i] >= 0x7f ||
		                     strchr(":()\"\\[]{}", text.at[i]) != NULL
		           : (text.at[i] < '0' || text.at[i] > '9') && text.at[i] != '.')
			return false;
	return text.len > 0 && text.len < 64;
}

static bool
field_read(struct fetching *w, struct bytes name)
{
	struct fetched_field *f = &w->field[w->fields];

	for (size_t i = 0; i < COUNT(rows) && w->fields < FIELDS_MOST; i++) {
		struct bytes known = bytes_of(rows[i].name);
		bool         open = known.at[known.len - 1] == '.';
		struct bytes behind = bytes_cut(name, known.len, name.len);
		if (open ? !bytes_starts_nocase(name, known) ||
		                    !is_section_text(behind, rows[i].print != NULL)
		         : !bytes_is(name, rows[i].name))
			continue;
		f->row = &rows[i];
		(void)bytes_string(name, f->name, sizeof f->name);
		if (!open)
			(void)snprintf(f->item, sizeof f->item, "%s", rows[i].item);
		else if (rows[i].print != NULL)
			(void)snprintf(f->item, sizeof f->item, "BODY.PEEK[HEADER.FIELDS (%.*s)]",
			               (int)behind.len, behind.at);
		else
			(void)snprintf(f->item, sizeof f->item, "BODY.PEEK[%.*s]", (int)behind.len,
			               behind.at);
		w->large |= rows[i].print == NULL;
		w->column[w->fields++] = f->name;
		return true;
	}
	(void)fprintf(
		stderr,
		"mansio: \"%.*s\" is not a field; right would be uid, flags, mailbox, size, hdr, hdr.subject, "
		"body, text, date.received, date.sent, date.saved ...\n",
		(int)name.len, name.at);
	return false;
}

/* The value goes back to the text it was, for items that are lists. */
static void
take_value(struct client *c, struct buffer *out)
{
	struct client_value v;
	int                 depth = 0;

	do {
		client_next(c, &v);
		if (v.kind == VALUE_END)
			return;
		if (out->len > 0 && v.kind != VALUE_CLOSE && out->at[out->len - 1] != '(')
			buffer_add_char(out, ' ');
		depth += v.kind == VALUE_OPEN ? 1 : v.kind == VALUE_CLOSE ? -1 : 0;
		if (v.kind == VALUE_OPEN || v.kind == VALUE_CLOSE)
			buffer_add_char(out, v.kind == VALUE_OPEN ? '(' : ')');
		else if (depth > 0 && v.kind != VALUE_ATOM) {
			buffer_add_char(out, '"');
			client_gather(c, &v, out, SMALL_MOST);
			buffer_add_char(out, '"');
		} else if (depth > 0)
			buffer_add(out, v.text);
		else
			client_gather(c, &v, out, SMALL_MOST);
	} while (depth > 0);
}

/* BODY[HEADER.FIELDS (TO)] answers BODY.PEEK[HEADER.FIELDS (TO)]. */
static bool
answers(const char *item, struct bytes name)
{
	char plain[140];

	if (strncmp(item, "BODY.PEEK[", 10) == 0) {
		(void)snprintf(plain, sizeof plain, "BODY[%s", item + 10);
		item = plain;
	}
	return bytes_is(name, item);
}

static void
hear_small(void *ctx, struct client *c, const struct client_answer *a)
{
	struct fetching    *w = ctx;
	struct client_value v;
	struct buffer       value = { 0 };
	uint64_t            uid = 0;

	if (!bytes_is(a->word, "FETCH"))
		return;
	for (size_t i = 0; i < w->fields; i++)
		buffer_reset(&w->field[i].value);
	client_next(c, &v);
	for (client_next(c, &v); v.kind == VALUE_ATOM; client_next(c, &v)) {
		char name[140];
		bool fits = bytes_string(v.text, name, sizeof name);
		buffer_reset(&value);
		take_value(c, &value);
		if (bytes_is(bytes_of(name), "UID"))
			(void)bytes_number(buffer_bytes(&value), &uid);
		for (size_t i = 0; fits && i < w->fields; i++)
			if (answers(w->field[i].item, bytes_of(name)))
				buffer_add(&w->field[i].value, buffer_bytes(&value));
	}
	buffer_free(&value);
	w->row.uid = (uint32_t)uid;
	w->row.seq = a->number;
	w->there = uid != 0;
	for (size_t i = 0; !w->large && w->there && i < w->fields; i++)
		w->field[i].row->print(w->out, &w->row, &w->field[i]);
}

static void
put_piece(void *ctx, struct bytes piece)
{
	output_piece(((struct fetching *)ctx)->out, piece);
}

static void
hear_large(void *ctx, struct client *c, const struct client_answer *a)
{
	struct fetching    *w = ctx;
	struct client_value v;
	struct bytes        piece;

	if (!bytes_is(a->word, "FETCH"))
		return;
	do
		client_next(c, &v);
	while (v.kind != VALUE_END &&
	       !(v.kind == VALUE_ATOM && bytes_starts_nocase(v.text, BYTES("BODY["))));
	client_next(c, &v);
	if (v.kind == VALUE_STRING)
		plain_piece(&w->plain, v.text, put_piece, w);
	while (v.kind == VALUE_LITERAL && client_take(c, &piece))
		plain_piece(&w->plain, piece, put_piece, w);
	plain_end(&w->plain, put_piece, w);
}

static bool
fetch_small(struct fetching *w, struct bytes uids)
{
	struct client *c = w->chosen->client;

	buffer_printf(client_begin(c), "UID FETCH %.*s (UID", (int)uids.len, uids.at);
	for (size_t i = 0; i < w->fields; i++)
		if (w->field[i].row->print != NULL && strcmp(w->field[i].item, "UID") != 0)
			buffer_printf(client_out(c), " %s", w->field[i].item);
	buffer_add_char(client_out(c), ')');
	return client_run(c, hear_small, w) == CLIENT_OK;
}

/* One message that has large fields. */
static bool
fetch_one(struct fetching *w, uint32_t uid)
{
	struct client *c = w->chosen->client;
	char           text[16];
	bool           good = true;

	(void)snprintf(text, sizeof text, "%" PRIu32, uid);
	w->there = false;
	if (!fetch_small(w, bytes_of(text)))
		return false;
	for (size_t i = 0; w->there && i < w->fields; i++) {
		if (w->field[i].row->print != NULL) {
			w->field[i].row->print(w->out, &w->row, &w->field[i]);
			continue;
		}
		output_begin(w->out);
		good &= client_say(c, hear_large, w, "UID FETCH %" PRIu32 " (%s)", uid,
		                   w->field[i].item) == CLIENT_OK;
		output_end(w->out);
	}
	return good;
}

static int
fetch_chosen(void *ctx, const struct chosen *chosen)
{
	struct fetching *w = ctx;
	struct uid_walk  walk = { .rest = chosen->uids };
	struct bytes     rest = chosen->uids, uids;
	uint32_t         uid;
	bool             good = true;

	w->chosen = chosen;
	w->row = (struct row){ .user = client_user(chosen->client),
		               .mailbox = chosen->mailbox,
		               .mailbox_id = chosen->id,
		               .uidvalidity = chosen->uidvalidity };
	while (w->large && good && uid_walk_next(&walk, &uid))
		good = fetch_one(w, uid);
	while (!w->large && good && uids_next(&rest, &uids))
		good = fetch_small(w, uids);
	return good ? COMMAND_DONE : message_complain(chosen->client, chosen->mailbox);
}

int
message_fetch_run(struct message_work *work)
{
	struct fetching  w = { .work = work };
	struct selection s = { .each = fetch_chosen, .ctx = &w };
	struct bytes     rest = bytes_of(work->argv[0]), name;
	int              status = COMMAND_FAILED;
	bool             good = true;

	while (good && bytes_split(&rest, ' ', &name))
		good = name.len == 0 || field_read(&w, name);
	if (good && w.fields > 0 && query_read(&s.query, work->argc - 1, work->argv + 1)) {
		w.out = output_open(work->form, w.column, w.fields);
		status = selection_run(work->call, work->who, &s);
		output_close(&w.out);
		query_close(&s.query);
	}
	for (size_t i = 0; i < w.fields; i++)
		buffer_free(&w.field[i].value);
	return status;
}

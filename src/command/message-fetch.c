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

#include "access/pop3/pop3.h"
#include "access/pop3/uniqueid.h"
#include "base/clock.h"
#include "command/message.h"
#include "message/date.h"
#include "message/encoding.h"
#include "message/header.h"

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
	print_date, print_sent, print_header, print_raw, print_flags, print_nothing,
	print_date_number, print_sent_number;

/* clang-format off */
static const struct field_row {
	const char  *name, *item;    /* name "hdr.": with a field's name behind it */
	field_print *print;          /* NULL: large, passed through                */
} rows[] = {
	{ "uid",           "UID",                             print_value      },
	{ "seq",           "UID",                             print_seq        },
	{ "flags",         "FLAGS",                           print_flags      },
	{ "user",          "UID",                             print_user       },
	{ "mailbox",       "UID",                             print_mailbox    },
	{ "mailbox-guid",  "UID",                             print_mailbox_id },
	{ "id",            "EMAILID",                         print_raw        },
	{ "guid",          "EMAILID",                         print_raw        },
	{ "storageid",     "EMAILID",                         print_raw        },
	{ "pop3.uidl",     "UID",                             print_uidl       },
	{ "pop3.order",    "UID",                             print_nothing    },
	{ "date.received", "INTERNALDATE",                    print_date       },
	{ "date.saved",    "SAVEDATE",                        print_date       },
	{ "date.sent",     "BODY.PEEK[HEADER.FIELDS (DATE)]", print_sent       },
	{ "date.received.unixtime", "INTERNALDATE",           print_date_number },
	{ "date.saved.unixtime", "SAVEDATE",                  print_date_number },
	{ "date.sent.unixtime", "BODY.PEEK[HEADER.FIELDS (DATE)]", print_sent_number },
	{ "size",          "RFC822.SIZE",                     print_value      },
	{ "size.virtual",  "RFC822.SIZE",                     print_value      },
	{ "size.physical", "RFC822.SIZE",                     print_value      },
	{ "modseq",        "MODSEQ",                          print_raw        },
	{ "imap.envelope", "ENVELOPE",                        print_raw        },
	{ "imap.body",     "BODY",                            print_raw        },
	{ "imap.bodystructure", "BODYSTRUCTURE",              print_raw        },
	{ "preview",       "PREVIEW",                         print_value      },
	{ "body.preview",  "PREVIEW",                         print_value      },
	{ "body.snippet",  "PREVIEW",                         print_value      },
	{ "hdr",           "BODY.PEEK[HEADER]",               NULL             },
	{ "body",          "BODY.PEEK[TEXT]",                 NULL             },
	{ "text",          "BODY.PEEK[]",                     NULL             },
	{ "hdr.",          "BODY.PEEK[HEADER.FIELDS (%s)]",   print_header     },
	{ "body.",         "BODY.PEEK[%s]",                   NULL             },
	{ "binary.",       "BINARY.PEEK[%s]",                 NULL             },
};
/* clang-format on */

struct fetched_field {
	const struct field_row *row;
	char                    name[80], item[140];
	bool                    decoded; /* "hdr.NAME.utf8"                          */
	struct buffer           value;   /* of the message under way                */
};
struct row {
	const char *user, *mailbox, *mailbox_id;
	uint32_t    uidvalidity, uid, seq;
	bool        doveadm;
	const char *uidl_format;
};
struct fetching {
	struct message_work *work;
	struct fetched_field field[FIELDS_MOST];
	const char          *column[FIELDS_MOST];
	size_t               fields;
	bool                 large;
	struct output       *out;
	struct row           row;
	const char          *uidl_format; /* pop3_uidl_format                     */
	const struct chosen *chosen;
	struct plain         plain;
	bool                 as_it_is;
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

/* In the order of the bits that Dovecot keeps; keywords behind. */
static void
print_flags(struct output *o, const struct row *r, const struct fetched_field *f)
{
	static const char *const known[] = { "\\Answered", "\\Flagged", "\\Deleted",
		                             "\\Seen",     "\\Draft",   "\\Recent" };
	struct bytes             text = buffer_bytes(&f->value), rest, word;
	struct buffer            out = { 0 };

	(void)r;
	if (text.len >= 2 && text.at[0] == '(')
		text = bytes_cut(text, 1, text.len - 2);
	for (size_t i = 0; i <= COUNT(known); i++) {
		rest = text;
		while (bytes_split(&rest, ' ', &word)) {
			bool own = false;
			for (size_t k = 0; k < COUNT(known); k++)
				own |= bytes_is(word, known[k]);
			if (word.len == 0 || (i < COUNT(known) ? !bytes_is(word, known[i]) : own))
				continue;
			buffer_add_string(&out, out.len > 0 ? " " : "");
			buffer_add(&out, word);
		}
	}
	output_value(o, buffer_bytes(&out));
	buffer_free(&out);
}

static void
print_nothing(struct output *o, const struct row *r, const struct fetched_field *f)
{
	(void)r;
	(void)f;
	output_value(o, (struct bytes){ NULL, 0 });
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

/* As UIDL says it. */
static void
print_uidl(struct output *o, const struct row *r, const struct fetched_field *f)
{
	struct buffer id = { 0 };

	(void)f;
	uniqueid_say(&id, r->uidl_format, r->uid, r->uidvalidity);
	output_value(o, buffer_bytes(&id));
	buffer_free(&id);
}

static void
put_moment(struct buffer *out, int64_t seconds)
{
	char      text[24] = "";
	time_t    t = (time_t)seconds;
	struct tm tm;

	if (localtime_r(&t, &tm) != NULL)
		(void)strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &tm);
	buffer_add_string(out, text);
}

static void
print_date(struct output *o, const struct row *r, const struct fetched_field *f)
{
	struct buffer moment = { 0 };
	int64_t       seconds;
	int32_t       zone;

	(void)r;
	if (imap_datetime_parse(bytes_trim(buffer_bytes(&f->value)), &seconds, &zone))
		put_moment(&moment, seconds);
	output_value(o, buffer_bytes(&moment));
	buffer_free(&moment);
}

static void
print_date_number(struct output *o, const struct row *r, const struct fetched_field *f)
{
	int64_t seconds = 0;
	int32_t zone;

	(void)r;
	(void)imap_datetime_parse(bytes_trim(buffer_bytes(&f->value)), &seconds, &zone);
	output_text(o, "%" PRId64, seconds);
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

/* All fields of the name, a line each, with their folds or decoded and without them. */
static struct bytes
fields_whole(const struct fetched_field *f, struct arena *life, struct buffer *out)
{
	struct header h = header_of(buffer_bytes(&f->value));
	struct field  field;

	while (header_next(&h, &field)) {
		struct bytes value = field.value, line;
		if (out->len > 0)
			buffer_add_char(out, '\n');
		if (f->decoded) {
			words_decode(bytes_trim(field_unfold(life, value)), out);
			continue;
		}
		while (value.len > 0 && (value.at[0] == ' ' || value.at[0] == '\t'))
			value = bytes_cut(value, 1, value.len);
		for (bool first = true; bytes_split(&value, '\n', &line); first = false) {
			line.len -= line.len > 0 && line.at[line.len - 1] == '\r';
			if (!first && line.len > 0)
				buffer_add_char(out, '\n');
			buffer_add(out, line);
		}
	}
	return buffer_bytes(out);
}

static void
print_header(struct output *o, const struct row *r, const struct fetched_field *f)
{
	struct arena *life = arena_open(NULL);
	struct buffer text = { 0 };

	output_value(o, r->doveadm || f->decoded ? fields_whole(f, life, &text)
	                                         : field_body(f, &text));
	buffer_free(&text);
	arena_close(&life);
}

/* doveadm tells the zone of the sender, and the moment in ours; a letter without a date is of 1970. */
static void
print_sent(struct output *o, const struct row *r, const struct fetched_field *f)
{
	struct buffer text = { 0 }, moment = { 0 };
	int64_t       seconds = 0;
	int32_t       zone = 0;
	bool          dated = date_parse(field_body(f, &text), &seconds, &zone);
	unsigned      off = (unsigned)(zone < 0 ? -zone : zone);

	if (dated || r->doveadm)
		put_moment(&moment, seconds);
	if (r->doveadm)
		buffer_printf(&moment, " (%c%02u%02u)", zone < 0 ? '-' : '+', off / 60, off % 60);
	output_value(o, buffer_bytes(&moment));
	buffer_free(&moment);
	buffer_free(&text);
}

static void
print_sent_number(struct output *o, const struct row *r, const struct fetched_field *f)
{
	struct buffer text = { 0 };
	int64_t       seconds = 0;
	int32_t       zone;

	(void)r;
	(void)date_parse(field_body(f, &text), &seconds, &zone);
	output_text(o, "%" PRId64, seconds);
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
	struct bytes          utf8 = BYTES(".utf8");

	for (size_t i = 0; i < COUNT(rows) && w->fields < FIELDS_MOST; i++) {
		struct bytes known = bytes_of(rows[i].name);
		bool         open = known.at[known.len - 1] == '.';
		struct bytes behind = bytes_cut(name, known.len, name.len);

		f->decoded = open && rows[i].print != NULL && behind.len > utf8.len &&
		             bytes_is(bytes_cut(behind, behind.len - utf8.len, utf8.len), utf8.at);
		behind.len -= f->decoded ? utf8.len : 0;
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
			(void)snprintf(f->item, sizeof f->item, "%s.PEEK[%.*s]",
			               rows[i].name[1] == 'o' ? "BODY" : "BINARY", (int)behind.len,
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

/* quoted = DQUOTE *QUOTED-CHAR DQUOTE   rfc3501:9 */
static void
put_quoted(struct client *c, const struct client_value *v, struct buffer *out)
{
	struct buffer text = { 0 };

	client_gather(c, v, &text, SMALL_MOST);
	buffer_add_char(out, '"');
	for (size_t i = 0; i < text.len; i++) {
		if (text.at[i] == '"' || text.at[i] == '\\')
			buffer_add_char(out, '\\');
		buffer_add_char(out, text.at[i]);
	}
	buffer_add_char(out, '"');
	buffer_free(&text);
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
			put_quoted(c, &v, out);
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

/* Of several accounts doveadm tells first whose the message is. */
static struct output *
open_rows(struct fetching *w)
{
	struct output_column column[FIELDS_MOST + 1] = { { "Username", "username", true, false } };

	if (!w->work->doveadm)
		return output_open(w->work->form, w->column, w->fields);
	for (size_t i = 0; i < w->fields; i++)
		column[i + 1].title = w->column[i];
	return output_open_as_doveadm(w->work->form, column + !w->work->many,
	                              w->fields + w->work->many);
}

/* A row begins. */
static void
begin_row(const struct fetching *w)
{
	if (w->work->doveadm && w->work->many)
		output_value(w->out, bytes_of(w->row.user));
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
	if (!w->large && w->there)
		begin_row(w);
	for (size_t i = 0; !w->large && w->there && i < w->fields; i++)
		w->field[i].row->print(w->out, &w->row, &w->field[i]);
}

static void
put_piece(void *ctx, struct bytes piece)
{
	output_piece(((struct fetching *)ctx)->out, piece);
}

/* A part of a letter doveadm gives with the line ends it has in IMAP. */
static void
put_large(struct fetching *w, struct bytes piece)
{
	if (w->as_it_is)
		put_piece(w, piece);
	else
		plain_piece(&w->plain, piece, put_piece, w);
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
	       !(v.kind == VALUE_ATOM && (bytes_starts_nocase(v.text, BYTES("BODY[")) ||
	                                  bytes_starts_nocase(v.text, BYTES("BINARY[")))));
	client_next(c, &v);
	if (v.kind == VALUE_STRING)
		put_large(w, v.text);
	while (v.kind == VALUE_LITERAL && client_take(c, &piece))
		put_large(w, piece);
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
	if (w->there)
		begin_row(w);
	for (size_t i = 0; w->there && i < w->fields; i++) {
		if (w->field[i].row->print != NULL) {
			w->field[i].row->print(w->out, &w->row, &w->field[i]);
			continue;
		}
		w->as_it_is = w->row.doveadm && strchr(w->field[i].name, '.') != NULL;
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
		               .uidvalidity = chosen->uidvalidity,
		               .doveadm = w->work->doveadm,
		               .uidl_format = w->uidl_format };
	while (w->large && good && uid_walk_next(&walk, &uid))
		good = fetch_one(w, uid);
	while (!w->large && good && uids_next(&rest, &uids))
		good = fetch_small(w, uids);
	return good ? COMMAND_DONE : message_complain(chosen->client, chosen->mailbox);
}

/* What UIDL calls a message: asked for by that field alone. */
static bool
read_uidl_format(struct fetching *w, struct settings **sp)
{
	struct common_settings common;
	struct pop3_settings   pop3;
	struct buffer          errors = { 0 };
	bool                   good = false;

	if ((*sp = command_settings(w->work->call, &common)) != NULL) {
		good = settings_fill(*sp, &pop3_setting_table, NULL, &pop3, &errors);
		command_print(buffer_bytes(&errors), stderr);
		buffer_free(&errors);
	}
	w->uidl_format = good ? pop3.uidl_format : NULL;
	return good;
}

int
message_fetch_run(struct message_work *work)
{
	struct fetching  w = { .work = work };
	struct selection s = { .each = fetch_chosen, .ctx = &w };
	struct bytes     rest = bytes_of(work->argv[0]), name;
	int              status = COMMAND_FAILED;
	struct settings *settings = NULL;
	bool             good = true;

	while (good && bytes_split(&rest, ' ', &name))
		good = name.len == 0 || field_read(&w, name);
	for (size_t i = 0; good && settings == NULL && i < w.fields; i++)
		good = w.field[i].row->print != print_uidl || read_uidl_format(&w, &settings);
	if (good && work->doveadm && w.large && work->form == OUTPUT_TABLE) {
		(void)fputs(
			"doveadm: a table has no values of several lines; right would be -f pager, flow, tab or json\n",
			stderr);
		good = false;
	}
	if (work->doveadm)
		status = COMMAND_WRONG;
	if (good && w.fields > 0 && query_read(&s.query, work->argc - 1, work->argv + 1)) {
		w.out = open_rows(&w);
		status = selection_run(work->call, work->who, &s);
		output_close(&w.out);
		query_close(&s.query);
	}
	for (size_t i = 0; i < w.fields; i++)
		buffer_free(&w.field[i].value);
	settings_close(&settings);
	return status;
}

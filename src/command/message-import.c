/*
 * message-import -- letters of other programs come into mailboxes
 *
 * Small ones go many in one APPEND (rfc3502), which takes all of them or none: then each goes alone, so that one that is
 * refused keeps no other out.  Large ones pass through alone.  What the mailbox has already is known by its size and a hash of the fields that stay with
 * a letter wherever it goes, so that an import that was broken off goes on where it ended.
 */

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/map.h"
#include "command/folders.h"
#include "command/message.h"
#include "command/query.h"
#include "command/source.h"
#include "message/date.h"

enum { SAY_EVERY = 100, FIELD_MOST = 16 << 10, HEADER_MOST = 1 << 20 };
enum { BATCH_LETTERS = 500, BATCH_BYTES = 4 << 20, BATCHED_MOST = 256 << 10 };

/* The mailbox letters go to; the one before is forgotten. */
struct target {
	char        name[1100];
	struct map *known; /* of a hash of 16 bytes             */
};
/* Letters that wait to go: in `bytes` each as it stands in an APPEND, its flags, date and literal. */
struct batched {
	size_t   from, len;
	uint64_t print[2], number; /* in an mbox                  */
	char    *path;
};
struct batch {
	struct buffer  bytes;
	struct batched letter[BATCH_LETTERS];
	size_t         count;
};
struct import {
	struct client      *client;
	const char         *mailbox; /* of --mailbox, or NULL             */
	const char         *flags;   /* for all of them, or NULL          */
	bool                duplicates, quiet;
	const struct query *query; /* which of them; NULL: all         */
	bool                inbox; /* the INBOX is one of the folders below --mailbox */
	struct target       target;
	struct batch       *batch;
	uint64_t            found, in, left_out, refused;
	int                 status;
};

/* ---- what is there already ---- */

static char known_mark;

static void
fingerprint(struct bytes fields, uint64_t size, uint64_t out[static 2])
{
	static const uint64_t keys[2][2] = { { 1, 2 }, { 3, 4 } };

	out[0] = hash_with(keys[0], fields) ^ size;
	out[1] = hash_with(keys[1], fields) + size;
}

static struct bytes
as_key(const uint64_t print[static 2])
{
	return (struct bytes){ (const char *)print, 2 * sizeof *print };
}

/* "* 5 FETCH (UID 7 RFC822.SIZE 1234 BODY[HEADER.FIELDS (...)] {99}": the header ends with an empty line. */
static void
hear_known(void *ctx, struct client *c, const struct client_answer *a)
{
	struct import      *w = ctx;
	struct client_value v;
	struct buffer       fields = { 0 };
	uint64_t            size = 0, print[2];

	if (!bytes_is(a->word, "FETCH"))
		return;
	client_next(c, &v);
	for (client_next(c, &v); v.kind == VALUE_ATOM; client_next(c, &v)) {
		bool header = bytes_starts_nocase(v.text, BYTES("BODY["));
		bool bytes = bytes_is(v.text, "RFC822.SIZE");
		client_next(c, &v);
		if (header)
			client_gather(c, &v, &fields, FIELD_MOST);
		if (bytes)
			(void)bytes_number(v.text, &size);
	}
	if (fields.len >= 2)
		fields.len -= 2;
	fingerprint(buffer_bytes(&fields), size, print);
	(void)map_put(w->target.known, as_key(print), &known_mark);
	buffer_free(&fields);
}

static int
refuse(struct import *w, const char *what)
{
	(void)fprintf(stderr, "mansio: %s: %s: %s\n", client_user(w->client), what,
	              client_said(w->client));
	return COMMAND_FAILED;
}

/* The mailbox is made if it is not there; what it holds is looked at. */
static int
enter_target(struct import *w, const char *name)
{
	struct client      *c = w->client;
	enum client_outcome o;

	if (strcmp(w->target.name, name) == 0 && w->target.known != NULL)
		return COMMAND_DONE;
	map_close(&w->target.known);
	w->target.known = map_open();
	(void)snprintf(w->target.name, sizeof w->target.name, "%s", name);
	for (int again = 0;; again++) {
		buffer_add_string(client_begin(c), "EXAMINE ");
		client_put_mailbox(c, name);
		if ((o = client_run(c, NULL, NULL)) == CLIENT_OK)
			break;
		if (again > 0 || o == CLIENT_LOST)
			return refuse(w, name);
		buffer_add_string(client_begin(c), "CREATE ");
		client_put_mailbox(c, name);
		if (client_run(c, NULL, NULL) != CLIENT_OK)
			return refuse(w, name);
		buffer_add_string(client_begin(c), "SUBSCRIBE ");
		client_put_mailbox(c, name);
		(void)client_run(c, NULL, NULL);
	}
	if (!w->duplicates)
		o = client_say(
			c, hear_known, w,
			"UID FETCH 1:* (RFC822.SIZE BODY.PEEK[HEADER.FIELDS (MESSAGE-ID DATE FROM SUBJECT)])");
	if (o == CLIENT_OK)
		o = client_say(c, NULL, NULL, "UNSELECT");
	return o == CLIENT_OK ? COMMAND_DONE : refuse(w, name);
}

/* ---- a letter ---- */

static void
put_letter(void *ctx, struct bytes piece)
{
	struct client *c = ctx;

	buffer_add(client_out(c), piece);
	if (client_out(c)->len > 64 << 10)
		(void)client_send(c);
}

static void
gather_letter(void *ctx, struct bytes piece)
{
	buffer_add(ctx, piece);
}

static void
begin_append(struct import *w)
{
	buffer_add_string(client_begin(w->client), "APPEND ");
	client_put_mailbox(w->client, w->target.name);
}

/* append-message = [SP flag-list] [SP date-time] SP literal   rfc3502:4 */
static void
begin_letter(const struct import *w, const struct letter_source *s, struct buffer *out)
{
	char date[32];

	buffer_printf(out, " (%s%s%.*s)", w->flags != NULL ? w->flags : "",
	              w->flags != NULL && s->flags.len > 0 ? " " : "", (int)s->flags.len,
	              s->flags.at);
	if (s->date > 0) {
		imap_datetime_text(s->date, 0, date);
		buffer_printf(out, " \"%s\"", date);
	}
	buffer_printf(out, " {%" PRIu64 "+}\r\n", s->size);
}

/* What the server said of a letter; false when nothing more can be done. */
static bool
heard(struct import *w, enum client_outcome o, const uint64_t print[static 2], const char *path,
      uint64_t number)
{
	if (o == CLIENT_OK) {
		w->in++;
		(void)map_put(w->target.known, as_key(print), &known_mark);
		return true;
	}
	w->refused++;
	w->status = COMMAND_FAILED;
	(void)map_drop(w->target.known, as_key(print));
	(void)fprintf(stderr, "mansio: %s", path);
	if (number > 0)
		(void)fprintf(stderr, ", message %" PRIu64, number);
	(void)fprintf(stderr, ": %s\n", client_said(w->client));
	return o == CLIENT_NO;
}

/* ---- many at once ---- */

static void
batch_forget(struct batch *b)
{
	for (size_t i = 0; i < b->count; i++)
		memory_free(b->letter[i].path);
	b->count = 0;
	buffer_reset(&b->bytes);
}

/* All that wait go; false when nothing more can be done. */
static bool
batch_send(struct import *w)
{
	struct batch       *b = w->batch;
	enum client_outcome o;
	bool                good;

	if (b->count == 0)
		return true;
	begin_append(w);
	put_letter(w->client, buffer_bytes(&b->bytes));
	o = client_run(w->client, NULL, NULL);
	good = o == CLIENT_OK || o == CLIENT_NO;
	if (o == CLIENT_OK)
		w->in += b->count;
	for (size_t i = 0; i < b->count && good && o != CLIENT_OK; i++) {
		struct batched *l = &b->letter[i];
		begin_append(w);
		put_letter(w->client, bytes_cut(buffer_bytes(&b->bytes), l->from, l->len));
		good = heard(w, client_run(w->client, NULL, NULL), l->print, l->path, l->number);
	}
	if (!good && o != CLIENT_NO)
		good = heard(w, o, b->letter[0].print, b->letter[0].path, b->letter[0].number);
	batch_forget(b);
	return good;
}

/* False: its file changes while it is read; the others are as they were. */
static bool
batch_add(struct import *w, struct letter_source *s, const uint64_t print[static 2])
{
	struct batch   *b = w->batch;
	struct batched *l = &b->letter[b->count];
	size_t          before = b->bytes.len, len = strlen(s->path);

	begin_letter(w, s, &b->bytes);
	if (!letter_pass(s, gather_letter, &b->bytes)) {
		b->bytes.len = before;
		return false;
	}
	*l = (struct batched){ .from = before,
		               .len = b->bytes.len - before,
		               .print = { print[0], print[1] },
		               .number = s->mbox ? s->number : 0,
		               .path = memory_take(len + 1) };
	memcpy(l->path, s->path, len);
	b->count++;
	(void)map_put(w->target.known, as_key(print), &known_mark);
	return true;
}

static void
say_progress(const struct import *w, bool end)
{
	uint64_t all = w->in + w->left_out + w->refused + (w->batch != NULL ? w->batch->count : 0);

	if (w->quiet || !isatty(STDERR_FILENO) || (!end && all % SAY_EVERY != 0))
		return;
	(void)fprintf(stderr, "\r%" PRIu64 " messages%s", all, end ? "\n" : "");
}

/* What a mail program keeps for itself at the head of an mbox. */
static bool
is_internal(const struct letter_source *s)
{
	return s->mbox && s->number == 1 &&
	       bytes_search(buffer_bytes(&s->known_by), BYTES("FOLDER INTERNAL DATA")) >= 0;
}

/* False when nothing more can be done. */
static int
changes(const struct letter_source *s)
{
	(void)fprintf(stderr, "mansio: %s changes while it is read\n", s->path);
	return COMMAND_FAILED;
}

static bool
import_letter(struct import *w, struct letter_source *s)
{
	uint64_t print[2];
	bool     good;

	fingerprint(buffer_bytes(&s->known_by), s->size, print);
	if (!w->duplicates && (is_internal(s) || map_get(w->target.known, as_key(print)) != NULL)) {
		w->left_out++;
		return true;
	}
	if (s->size <= BATCHED_MOST) {
		good = batch_add(w, s, print);
		if (good &&
		    (w->batch->count == BATCH_LETTERS || w->batch->bytes.len >= BATCH_BYTES))
			return batch_send(w);
	} else if (!batch_send(w)) {
		return false;
	} else {
		begin_append(w);
		begin_letter(w, s, client_out(w->client));
		good = letter_pass(s, put_letter, w->client);
		if (good)
			return heard(w, client_run(w->client, NULL, NULL), print, s->path,
			             s->mbox ? s->number : 0);
	}
	if (!good)
		w->status = changes(s);
	return good;
}

static void
put_header(void *ctx, struct bytes piece)
{
	struct buffer *header = ctx;

	if (header->len < HEADER_MOST)
		buffer_add(header, bytes_cut(piece, 0, HEADER_MOST - header->len));
}

/* What is behind the header is not looked at. */
static bool
is_meant(const struct import *w, struct letter_source *s, bool *read)
{
	struct buffer       header = { 0 };
	struct query_letter letter = { .mailbox = *s->folder != '\0' ? s->folder : "INBOX",
		                       .flags = buffer_bytes(&s->flags),
		                       .date = s->date,
		                       .size = s->size };
	ptrdiff_t           end;
	bool                is = false;

	if ((*read = letter_pass(s, put_header, &header))) {
		end = bytes_search(buffer_bytes(&header), BYTES("\r\n\r\n"));
		letter.header =
			bytes_cut(buffer_bytes(&header), 0, end < 0 ? header.len : (size_t)end + 4);
		is = query_means(w->query, &letter);
	}
	buffer_free(&header);
	return is;
}

static bool
import_one(void *ctx, struct letter_source *s)
{
	struct import *w = ctx;
	const char    *folder = *s->folder == '\0' && w->inbox ? "INBOX" : s->folder;
	char           name[1100];
	bool           good;

	w->found++;
	if (w->query != NULL && !is_meant(w, s, &good)) {
		if (!good)
			w->status = changes(s);
		return good;
	}
	if (w->mailbox == NULL)
		(void)snprintf(name, sizeof name, "%s", *s->folder != '\0' ? s->folder : "INBOX");
	else
		(void)snprintf(name, sizeof name, "%s%s%s", w->mailbox, *folder != '\0' ? "/" : "",
		               folder);
	if (strcmp(w->target.name, name) != 0 && !batch_send(w))
		return false;
	if (enter_target(w, name) != COMMAND_DONE) {
		w->status = COMMAND_FAILED;
		return false;
	}
	good = import_letter(w, s);
	say_progress(w, false);
	return good;
}

/* ---- the commands ---- */

/* Where no letter is, most likely something else was meant: it is said.  False when it could not be read. */
static bool
import_path(struct import *w, const char *path)
{
	uint64_t before = w->found;

	if (!source_each(path, import_one, w))
		return false;
	if (w->found == before)
		(void)fprintf(stderr, "mansio: no message was found in %s\n",
		              strcmp(path, "-") == 0 ? "the standard input" : path);
	return true;
}

static int
import_paths(struct call *c, const char *who, struct import *w, int paths, char *const *path)
{
	struct people people;
	int           status = client_people(c, who, &people);

	w->batch = memory_take(sizeof *w->batch);
	if (status == COMMAND_DONE && people.count != 1) {
		(void)fprintf(stderr, "mansio: \"%s\" means %zu accounts; letters go to one\n", who,
		              people.count);
		status = COMMAND_FAILED;
	}
	if (status == COMMAND_DONE && (w->client = client_open(c, &people.one[0])) == NULL)
		status = COMMAND_FAILED;
	for (int i = 0; status == COMMAND_DONE && i < paths; i++)
		if (!import_path(w, path[i]) || (i + 1 == paths && w->found == 0))
			status = COMMAND_FAILED;
	if (w->client != NULL)
		(void)batch_send(w);
	batch_forget(w->batch);
	buffer_free(&w->batch->bytes);
	memory_free(w->batch);
	w->batch = NULL;
	client_close(&w->client);
	map_close(&w->target.known);
	people_close(&people);
	return status > w->status ? status : w->status;
}

static bool
wrong_switch(const struct call *c)
{
	for (int i = 2; i < c->argc; i++)
		if (strncmp(c->argv[i], "--", 2) == 0)
			return true;
	return false;
}

/* A status; 0: what it says can be asked of files. */
static int
read_query(struct call *c, const char *text, struct query *q)
{
	char       *word[1] = { (char *)(uintptr_t)text };
	const char *beyond;

	if (!query_read(q, 1, word))
		return COMMAND_FAILED;
	if ((beyond = query_beyond_letter(q)) == NULL)
		return COMMAND_DONE;
	(void)command_wrong(
		c,
		"%s cannot be asked of letters that are not here yet; right would be to take all of them in and look for it then (message search)",
		*beyond != '\0' ? beyond : "a number of a message");
	query_close(q);
	return COMMAND_WRONG;
}

int
message_import(struct call *c)
{
	struct import w = { .status = COMMAND_DONE };
	struct query  query = { 0 };
	const char   *text = NULL;
	int           status;

	(void)command_option(c, "--mailbox", &w.mailbox);
	(void)command_option(c, "--flags", &w.flags);
	w.duplicates = command_option(c, "--duplicates", NULL);
	w.quiet = command_option(c, "--quiet", NULL);
	w.inbox = command_option(c, "--inbox", NULL);
	(void)command_option(c, "--query", &text);
	if (c->argc < 4 || wrong_switch(c))
		return command_wrong(c, "message import wants to know whose, and what");
	if (w.flags != NULL && !flags_right(w.flags))
		return command_wrong(c, "\"%s\" are not flags", w.flags);
	if (text != NULL && (status = read_query(c, text, &query)) != COMMAND_DONE)
		return status;
	w.query = text != NULL ? &query : NULL;
	status = import_paths(c, c->argv[2], &w, c->argc - 3, c->argv + 3);
	query_close(&query);
	say_progress(&w, true);
	if (!w.quiet)
		(void)printf("%" PRIu64 " taken in, %" PRIu64 " there already, %" PRIu64
		             " refused\n",
		             w.in, w.left_out, w.refused);
	return status;
}

int
message_append(struct call *c)
{
	struct import w = { .duplicates = true, .quiet = true };
	const char   *file = "-";
	char         *path[1];

	(void)command_option(c, "--file", &file);
	(void)command_option(c, "--flags", &w.flags);
	if (c->argc < 3 || c->argc > 4 || wrong_switch(c))
		return command_wrong(c, "message append wants to know whose");
	if (w.flags != NULL && !flags_right(w.flags))
		return command_wrong(c, "\"%s\" are not flags", w.flags);
	w.mailbox = c->argc > 3 ? c->argv[3] : NULL;
	path[0] = (char *)(uintptr_t)file;
	return import_paths(c, c->argv[2], &w, 1, path);
}

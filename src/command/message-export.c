/*
 * message-export -- messages go out into a Maildir, an mbox or files
 *
 * A format is a row: how a mailbox is entered and how a letter is begun, written and ended there. Letters
 * come from the server in pieces and go to the file in pieces.
 */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "access/imap/write.h"
#include "base/map.h"
#include "command/message.h"
#include "command/settling.h"
#include "message/date.h"

enum { PATH_ROOM = 4096, SAY_EVERY = 100, WRITE_AT = 64 << 10, LETTERS = 26, LINE_MOST = 64 << 10 };

struct export;
struct export_format {
	const char *name;
	bool (*enter)(struct export *); /* another mailbox                      */
	bool (*begin)(struct export *); /* false with errno 0: it is there already */
	void (*put)(void *export, struct bytes);
	bool (*end)(struct export *);
	bool (*leave)(struct export *); /* the last letter was written          */
};
struct export
{
	const struct export_format *format;
	const char                 *path;
	char                        root[PATH_ROOM];  /* of this account                */
	char                        place[PATH_ROOM]; /* of this mailbox                */
	bool                        many, whole;      /* mbox: one file for all         */
	const struct chosen        *chosen;
	struct map                 *there; /* names written by an earlier run */
	struct plain                plain;
	struct buffer               line;         /* mbox: a line that is not whole  */
	bool                        body, inside; /* mbox: behind the header; within a long line */
	int                         fd, why;
	char                        file[PATH_ROOM]; /* under way                       */
	struct settling             settling;        /* Maildir, eml: of this mailbox   */
	struct buffer               out;
	/* the letter */
	uint32_t      uid;
	int64_t       date;
	uint64_t      size;
	struct buffer flags, sender;
	char          keyword[LETTERS][64];
	bool          quiet;
	uint64_t      written, left_out;
};

/* ---- files ---- */

static void
flush(struct export *w)
{
	while (w->out.len > 0 && w->why == 0) {
		ssize_t n = write(w->fd, w->out.at, w->out.len);
		if (n < 0 && errno != EINTR)
			w->why = errno;
		else if (n > 0)
			buffer_eat(&w->out, (size_t)n);
	}
	buffer_reset(&w->out);
}

static void
put_out(void *ctx, struct bytes text)
{
	struct export *w = ctx;

	buffer_add(&w->out, text);
	if (w->out.len > WRITE_AT)
		flush(w);
}

static bool
fail(struct export *w, const char *path)
{
	w->why = errno;
	(void)fprintf(stderr, "mansio: %s: %s\n", path, strerror(errno));
	return false;
}

/* Every level of it. */
static bool
make_directories(struct export *w, const char *path)
{
	char  copy[PATH_ROOM];
	char *slash = copy;

	(void)snprintf(copy, sizeof copy, "%s", path);
	while ((slash = strchr(slash + 1, '/')) != NULL) {
		*slash = '\0';
		if (mkdir(copy, 0700) < 0 && errno != EEXIST)
			return fail(w, copy);
		*slash = '/';
	}
	return mkdir(path, 0700) == 0 || errno == EEXIST || fail(w, path);
}

static bool
open_new(struct export *w, const char *path)
{
	w->fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	return w->fd >= 0 || fail(w, path);
}

/* Under its name stands a letter that is on the disk: a later run leaves it out. */
static bool
name_later(struct export *w, const char *to)
{
	return settling_add(&w->settling, w->file, to) || fail(w, to);
}

static bool
settle(struct export *w)
{
	return settling_end(&w->settling) || fail(w, w->place);
}

/* The letter is whole; it keeps the time it came. */
static bool
close_file(struct export *w)
{
	struct timespec times[2] = { { .tv_sec = w->date }, { .tv_sec = w->date } };

	flush(w);
	if (w->why == 0 && futimens(w->fd, times) < 0)
		w->why = errno;
	if (close(w->fd) < 0 && w->why == 0)
		w->why = errno;
	w->fd = -1;
	errno = w->why;
	return w->why == 0 || fail(w, w->file);
}

/* Names in a directory, as far as the first ":" or ".": what an earlier run wrote. */
static bool
learn_names(struct export *w, const char *directory, char ends)
{
	static char    mark;
	DIR           *d = opendir(directory);
	struct dirent *e;

	map_close(&w->there);
	w->there = map_open();
	if (d == NULL)
		return errno == ENOENT || fail(w, directory);
	while ((e = readdir(d)) != NULL) {
		struct bytes name = bytes_of(e->d_name);
		ptrdiff_t    end = bytes_find(name, ends);
		(void)map_put(w->there, bytes_cut(name, 0, end < 0 ? name.len : (size_t)end),
		              &mark);
	}
	(void)closedir(d);
	return true;
}

/* ---- Maildir ---- */

/* ".Lists.debian", in modified UTF-7; a dot within a name becomes "&AC4-". */
static void
maildir_name(const char *mailbox, char *out, size_t room)
{
	struct buffer coded = { 0 }, name = { 0 };
	struct bytes  rest;
	const char   *at = mailbox;

	if (strcmp(mailbox, "INBOX") == 0) {
		out[0] = '\0';
		return;
	}
	write_mailbox(&coded, at, false);
	rest = buffer_bytes(&coded);
	if (rest.len >= 2 && rest.at[0] == '"')
		rest = bytes_cut(rest, 1, rest.len - 2);
	buffer_add_string(&name, "/.");
	for (size_t i = 0; i < rest.len; i++)
		if (rest.at[i] == '/')
			buffer_add_char(&name, '.');
		else if (rest.at[i] == '.')
			buffer_add_string(&name, "&AC4-");
		else if (rest.at[i] != '\\' || i + 1 == rest.len)
			buffer_add_char(&name, rest.at[i]);
		else
			buffer_add_char(&name, rest.at[++i]);
	(void)bytes_string(buffer_bytes(&name), out, room);
	buffer_free(&coded);
	buffer_free(&name);
}

static void
read_keywords(struct export *w)
{
	char     file[PATH_ROOM], name[64];
	unsigned n;
	FILE    *f;

	memset(w->keyword, 0, sizeof w->keyword);
	(void)snprintf(file, sizeof file, "%.4000s/dovecot-keywords", w->place);
	if ((f = fopen(file, "re")) == NULL)
		return;
	while (fscanf(f, "%u %63s", &n, name) == 2)
		if (n < LETTERS)
			(void)snprintf(w->keyword[n], sizeof w->keyword[n], "%s", name);
	(void)fclose(f);
}

static bool
write_keywords(struct export *w)
{
	char  file[PATH_ROOM];
	FILE *f;
	bool  good = true;

	if (w->keyword[0][0] == '\0')
		return true;
	(void)snprintf(file, sizeof file, "%.4000s/dovecot-keywords", w->place);
	if ((f = fopen(file, "we")) == NULL)
		return fail(w, file);
	for (unsigned i = 0; i < LETTERS && w->keyword[i][0] != '\0'; i++)
		good &= fprintf(f, "%u %s\n", i, w->keyword[i]) > 0;
	return fclose(f) == 0 && good ? true : fail(w, file);
}

static bool
make_maildir(struct export *w, const char *place)
{
	static const char *const parts[] = { "", "/tmp", "/new", "/cur" };
	char                     path[PATH_ROOM];
	bool                     good = true;

	for (size_t i = 0; i < COUNT(parts) && good; i++) {
		(void)snprintf(path, sizeof path, "%.4080s%s", place, parts[i]);
		good = make_directories(w, path);
	}
	return good;
}

/* Where the INBOX has no letters the top is made too: without it the folders are no Maildir's. */
static bool
maildir_enter(struct export *w)
{
	char name[1200], path[PATH_ROOM];

	maildir_name(w->chosen->mailbox, name, sizeof name);
	(void)snprintf(w->place, sizeof w->place, "%.2800s%.1200s", w->root, name);
	if (!make_maildir(w, w->root) || !make_maildir(w, w->place) ||
	    (!settling_begin(&w->settling, w->place) && !fail(w, w->place)))
		return false;
	read_keywords(w);
	(void)snprintf(path, sizeof path, "%.4080s/cur", w->place);
	return learn_names(w, path, ':');
}

/* The name says all that makes a message this one: a later run knows it again. */
static void
maildir_base(const struct export *w, char *out, size_t room)
{
	(void)snprintf(out, room, "%" PRId64 ".M%" PRIu32 "P%" PRIu32 ".mansio,W=%" PRIu64, w->date,
	               w->chosen->uidvalidity, w->uid, w->size);
}

static bool
maildir_begin(struct export *w)
{
	char base[200];

	maildir_base(w, base, sizeof base);
	errno = 0;
	if (map_get(w->there, bytes_of(base)) != NULL)
		return false;
	(void)snprintf(w->file, sizeof w->file, "%.3800s/tmp/%s", w->place, base);
	return open_new(w, w->file);
}

/* Letters of a Maildir's name, in order; a keyword gets one of its own if there is one left. */
static void
maildir_letters(struct export *w, char out[static 64])
{
	static const char *const flags[LETTERS] = {
		['D' - 'A'] = "\\Draft",    ['F' - 'A'] = "\\Flagged", ['P' - 'A'] = "$Forwarded",
		['R' - 'A'] = "\\Answered", ['S' - 'A'] = "\\Seen",    ['T' - 'A'] = "\\Deleted",
	};
	bool         capital[LETTERS] = { false }, small[LETTERS] = { false };
	struct bytes rest = buffer_bytes(&w->flags), flag;
	size_t       n = 0;

	while (bytes_split(&rest, ' ', &flag)) {
		bool found = false;
		for (size_t i = 0; i < LETTERS && !found; i++)
			if (flags[i] != NULL && bytes_is(flag, flags[i]))
				found = capital[i] = true;
		for (size_t i = 0; i < LETTERS && !found && flag.len > 0 && flag.at[0] != '\\'; i++)
			if (w->keyword[i][0] == '\0' || bytes_is(flag, w->keyword[i]))
				found = small[i] =
					bytes_string(flag, w->keyword[i], sizeof w->keyword[i]);
	}
	for (size_t i = 0; i < LETTERS; i++)
		if (capital[i])
			out[n++] = (char)('A' + i);
	for (size_t i = 0; i < LETTERS; i++)
		if (small[i])
			out[n++] = (char)('a' + i);
	out[n] = '\0';
}

static void
maildir_put(void *ctx, struct bytes piece)
{
	plain_piece(&((struct export *)ctx)->plain, piece, put_out, ctx);
}

static bool
maildir_end(struct export *w)
{
	char base[200], letters[64], to[PATH_ROOM];

	plain_end(&w->plain, put_out, w);
	if (!close_file(w))
		return false;
	maildir_base(w, base, sizeof base);
	maildir_letters(w, letters);
	(void)snprintf(to, sizeof to, "%.3700s/cur/%s:2,%s", w->place, base, letters);
	return name_later(w, to);
}

static bool
maildir_leave(struct export *w)
{
	return write_keywords(w) && settle(w);
}

/* ---- .eml: the bytes as they are ---- */

/* The names of mailboxes are their owners' choice: no level may lead elsewhere, or be hidden. */
static void
level_names(const char *mailbox, char *out, size_t room)
{
	size_t n = 0;

	for (bool first = true; *mailbox != '\0' && n + 2 < room; mailbox++) {
		char c = *mailbox;
		out[n++] = (char)((first && c == '.') || (unsigned char)c < ' ' ? '_' : c);
		first = c == '/';
	}
	out[n] = '\0';
}

static bool
eml_enter(struct export *w)
{
	bool inbox = strcmp(w->chosen->mailbox, "INBOX") == 0;
	char levels[1200];

	level_names(w->chosen->mailbox, levels, sizeof levels);
	(void)snprintf(w->place, sizeof w->place, "%.2800s%s%s", w->root, inbox ? "" : "/",
	               inbox ? "" : levels);
	if (!make_directories(w, w->place))
		return false;
	return (settling_begin(&w->settling, w->place) || fail(w, w->place)) &&
	       learn_names(w, w->place, '.');
}

static bool
eml_begin(struct export *w)
{
	char base[64];

	(void)snprintf(base, sizeof base, "%" PRIu32 "-%" PRIu32, w->chosen->uidvalidity, w->uid);
	errno = 0;
	if (map_get(w->there, bytes_of(base)) != NULL)
		return false;
	(void)snprintf(w->file, sizeof w->file, "%.3800s/%s.eml.new", w->place, base);
	return open_new(w, w->file);
}

static bool
eml_end(struct export *w)
{
	char to[PATH_ROOM];

	if (!close_file(w))
		return false;
	(void)snprintf(to, sizeof to, "%.*s", (int)strlen(w->file) - 4, w->file);
	return name_later(w, to);
}

static bool
nothing(struct export *w)
{
	(void)w;
	return true;
}

/* ---- mbox ---- */

static bool
mbox_open(struct export *w, const char *path)
{
	(void)snprintf(w->file, sizeof w->file, "%.4000s.new", path);
	return open_new(w, w->file);
}

static bool
mbox_leave(struct export *w)
{
	char to[PATH_ROOM];

	if (w->fd < 0)
		return true;
	flush(w);
	if (w->why == 0 && fsync(w->fd) < 0)
		w->why = errno;
	(void)close(w->fd);
	w->fd = -1;
	errno = w->why;
	if (w->why != 0)
		return fail(w, w->file);
	(void)snprintf(to, sizeof to, "%.*s", (int)strlen(w->file) - 4, w->file);
	return (rename(w->file, to) == 0 || fail(w, to)) && (settling_above(to) || fail(w, to));
}

static bool
mbox_enter(struct export *w)
{
	char *slash, levels[1200];

	if (w->whole)
		return w->fd >= 0 || mbox_open(w, w->root);
	if (!mbox_leave(w))
		return false;
	level_names(w->chosen->mailbox, levels, sizeof levels);
	(void)snprintf(w->place, sizeof w->place, "%.2800s/%s", w->root, levels);
	(void)snprintf(w->file, sizeof w->file, "%s", w->place);
	if ((slash = strrchr(w->file, '/')) != NULL)
		*slash = '\0';
	return make_directories(w, w->file) && mbox_open(w, w->place);
}

/* "From " sender date (rfc4155:A), in UTC. */
static bool
mbox_begin(struct export *w)
{
	char      date[40] = "";
	time_t    t = (time_t)w->date;
	struct tm tm;

	if (gmtime_r(&t, &tm) != NULL)
		(void)strftime(date, sizeof date, "%a %b %e %H:%M:%S %Y", &tm);
	buffer_printf(&w->out, "From %.*s %s\n", w->sender.len > 0 ? (int)w->sender.len : 13,
	              w->sender.len > 0 ? w->sender.at : "MAILER-DAEMON", date);
	w->body = w->inside = false;
	buffer_reset(&w->line);
	return true;
}

/* What is not in a letter goes to the end of its header, where mail programs look for it. */
static void
mbox_flags(struct export *w)
{
	static const char *const letters[][2] = { { "\\Answered", "A" },
		                                  { "\\Flagged", "F" },
		                                  { "\\Draft", "T" },
		                                  { "\\Deleted", "D" } };
	struct bytes             rest = buffer_bytes(&w->flags), flag;
	struct buffer            x = { 0 }, words = { 0 };
	bool                     seen = false;

	while (bytes_split(&rest, ' ', &flag)) {
		seen |= bytes_is(flag, "\\Seen");
		for (size_t i = 0; i < COUNT(letters); i++)
			if (bytes_is(flag, letters[i][0]))
				buffer_add_string(&x, letters[i][1]);
		if (flag.len > 0 && flag.at[0] != '\\') {
			buffer_add_char(&words, ' ');
			buffer_add(&words, flag);
		}
	}
	buffer_printf(&w->out, "Status: %sO\n", seen ? "R" : "");
	if (x.len > 0)
		buffer_printf(&w->out, "X-Status: %.*s\n", (int)x.len, x.at);
	if (words.len > 0)
		buffer_printf(&w->out, "X-Keywords:%.*s\n", (int)words.len, words.at);
	buffer_free(&x);
	buffer_free(&words);
}

/* A line with its LF, or a piece of a long one. */
static void
mbox_line(struct export *w, struct bytes line)
{
	size_t quotes = 0;

	if (!w->inside && !w->body && line.len == 1 && line.at[0] == '\n') {
		mbox_flags(w);
		w->body = true;
	} else if (!w->inside && w->body) {
		while (quotes < line.len && line.at[quotes] == '>')
			quotes++;
		if (bytes_starts(bytes_cut(line, quotes, line.len), BYTES("From ")))
			buffer_add_char(&w->out, '>');
	}
	put_out(w, line);
	w->inside = line.at[line.len - 1] != '\n';
}

static void
mbox_plain(void *ctx, struct bytes piece)
{
	struct export *w = ctx;
	ptrdiff_t      end;

	buffer_add(&w->line, piece);
	while ((end = bytes_find(buffer_bytes(&w->line), '\n')) >= 0 || w->line.len > LINE_MOST) {
		size_t n = end >= 0 ? (size_t)end + 1 : w->line.len;
		mbox_line(w, bytes_cut(buffer_bytes(&w->line), 0, n));
		buffer_eat(&w->line, n);
	}
}

static void
mbox_put(void *ctx, struct bytes piece)
{
	plain_piece(&((struct export *)ctx)->plain, piece, mbox_plain, ctx);
}

static bool
mbox_end(struct export *w)
{
	plain_end(&w->plain, mbox_plain, w);
	if (w->line.len > 0)
		mbox_line(w, buffer_bytes(&w->line));
	buffer_reset(&w->line);
	/* A header may end without LF; what follows is a line of its own. */
	if (!w->body && w->inside) {
		put_out(w, BYTES("\n"));
		w->inside = false;
	}
	if (!w->body)
		mbox_flags(w);
	put_out(w, w->inside ? BYTES("\n\n") : BYTES("\n"));
	errno = w->why;
	return w->why == 0 || fail(w, w->file);
}

/* ---- the table ---- */

static const struct export_format formats[] = {
	{ "maildir", maildir_enter, maildir_begin, maildir_put, maildir_end, maildir_leave },
	{ "mbox", mbox_enter, mbox_begin, mbox_put, mbox_end, nothing },
	{ "eml", eml_enter, eml_begin, put_out, eml_end, settle },
};

/* ---- letters ---- */

/* Flags, date, size, and who it is from, before its bytes. */
static void
hear_facts(void *ctx, struct client *c, const struct client_answer *a)
{
	struct export      *w = ctx;
	struct client_value v;
	struct buffer       text = { 0 };
	int32_t             zone;
	char                name[64];

	if (!bytes_is(a->word, "FETCH"))
		return;
	client_next(c, &v);
	for (client_next(c, &v); v.kind == VALUE_ATOM; client_next(c, &v)) {
		if (!bytes_string(v.text, name, sizeof name))
			name[0] = '\0';
		buffer_reset(&text);
		client_next(c, &v);
		if (strcmp(name, "FLAGS") == 0)
			for (client_next(c, &v); v.kind == VALUE_ATOM; client_next(c, &v)) {
				buffer_add_string(&w->flags, w->flags.len > 0 ? " " : "");
				buffer_add(&w->flags, v.text);
			}
		else
			client_gather(c, &v, &text, 4096);
		if (strcmp(name, "INTERNALDATE") == 0)
			(void)imap_datetime_parse(bytes_trim(buffer_bytes(&text)), &w->date, &zone);
		else if (strcmp(name, "RFC822.SIZE") == 0)
			(void)bytes_number(buffer_bytes(&text), &w->size);
		else if (strncmp(name, "BODY[", 5) == 0)
			buffer_add(&w->sender, buffer_bytes(&text));
	}
	buffer_free(&text);
}

/* "Return-Path: <jack@example.com>" becomes what stands behind "From ". */
static void
take_sender(struct export *w)
{
	struct bytes text = buffer_bytes(&w->sender), address;
	ptrdiff_t    open = bytes_find(text, '<'), close = bytes_find(text, '>');
	char         copy[512] = "";

	address = open >= 0 && close > open
	                  ? bytes_cut(text, (size_t)open + 1, (size_t)(close - open - 1))
	                  : (struct bytes){ NULL, 0 };
	if (address.len > 0 && bytes_find(address, ' ') < 0 && bytes_find(address, '\n') < 0)
		(void)bytes_string(address, copy, sizeof copy);
	buffer_reset(&w->sender);
	buffer_add_string(&w->sender, copy);
}

static void
hear_bytes(void *ctx, struct client *c, const struct client_answer *a)
{
	struct export      *w = ctx;
	struct client_value v;
	struct bytes        piece;

	if (!bytes_is(a->word, "FETCH"))
		return;
	do
		client_next(c, &v);
	while (v.kind != VALUE_END && !(v.kind == VALUE_ATOM && bytes_is(v.text, "BODY[]")));
	client_next(c, &v);
	if (v.kind == VALUE_STRING)
		w->format->put(w, v.text);
	while (v.kind == VALUE_LITERAL && client_take(c, &piece))
		w->format->put(w, piece);
}

static void
say_progress(const struct export *w, bool end)
{
	uint64_t all = w->written + w->left_out;

	if (w->quiet || !isatty(STDERR_FILENO) || (!end && all % SAY_EVERY != 0))
		return;
	(void)fprintf(stderr, "\r%" PRIu64 " messages%s", all, end ? "\n" : "");
}

/* A status. */
static int
export_one(struct export *w, uint32_t uid)
{
	struct client *c = w->chosen->client;

	w->uid = uid;
	w->date = 0;
	w->plain.cr = false;
	buffer_reset(&w->flags);
	buffer_reset(&w->sender);
	if (client_say(c, hear_facts, w,
	               "UID FETCH %" PRIu32
	               " (FLAGS INTERNALDATE RFC822.SIZE BODY.PEEK[HEADER.FIELDS (RETURN-PATH)])",
	               uid) != CLIENT_OK)
		return message_complain(c, w->chosen->mailbox);
	take_sender(w);
	if (!w->format->begin(w)) {
		w->left_out++;
		return errno == 0 ? COMMAND_DONE : COMMAND_FAILED;
	}
	if (client_say(c, hear_bytes, w, "UID FETCH %" PRIu32 " (BODY.PEEK[])", uid) != CLIENT_OK) {
		w->why = EIO;
		return message_complain(c, w->chosen->mailbox);
	}
	if (!w->format->end(w))
		return COMMAND_FAILED;
	w->written++;
	say_progress(w, false);
	return COMMAND_DONE;
}

static int
export_chosen(void *ctx, const struct chosen *chosen)
{
	struct export  *w = ctx;
	struct uid_walk walk = { .rest = chosen->uids };
	uint32_t        uid;
	int             status = COMMAND_DONE;

	if (w->why != 0)
		return COMMAND_FAILED;
	w->chosen = chosen;
	(void)snprintf(w->root, sizeof w->root, "%.3500s%s%.500s", w->path, w->many ? "/" : "",
	               w->many ? client_user(chosen->client) : "");
	if (!w->format->enter(w))
		return COMMAND_FAILED;
	while (status == COMMAND_DONE && uid_walk_next(&walk, &uid))
		status = export_one(w, uid);
	return w->format->leave(w) ? status : COMMAND_FAILED;
}

/* ---- the command ---- */

static bool
choose_format(struct export *w, const char *name)
{
	struct stat st;
	bool        there = stat(w->path, &st) == 0;

	if (name == NULL)
		name = (there && S_ISREG(st.st_mode)) ||
		                       bytes_ends_nocase(bytes_of(w->path), BYTES(".mbox"))
		               ? "mbox"
		               : "maildir";
	for (size_t i = 0; i < COUNT(formats); i++)
		if (strcmp(formats[i].name, name) == 0)
			w->format = &formats[i];
	w->whole =
		!(there && S_ISDIR(st.st_mode)) && w->path[strlen(w->path) - 1] != '/' && !w->many;
	return w->format != NULL;
}

static int
export_run(struct call *c, struct export *w, struct selection *s)
{
	int status = selection_run(c, c->argv[2], s);

	if (!mbox_leave(w))
		status = COMMAND_FAILED;
	say_progress(w, true);
	if (!w->quiet)
		(void)printf("%" PRIu64 " written, %" PRIu64 " there already\n", w->written,
		             w->left_out);
	map_close(&w->there);
	settling_close(&w->settling);
	buffer_free(&w->line);
	buffer_free(&w->out);
	buffer_free(&w->flags);
	buffer_free(&w->sender);
	query_close(&s->query);
	return status;
}

int
message_export(struct call *c)
{
	static char *const everything[] = { (char *)(uintptr_t) "all" };
	struct export w = { .fd = -1, .settling = { .disk = -1 } };
	struct selection s = { .each = export_chosen, .ctx = &w };
	const char      *format = NULL;
	bool             all;

	(void)command_option(c, "--format", &format);
	w.quiet = command_option(c, "--quiet", NULL);
	if (c->argc < 4 || c->argv[3][0] == '\0')
		return command_wrong(c, "message export wants to know whose, and where to");
	w.path = c->argv[3];
	w.many = strpbrk(c->argv[2], "*?") != NULL;
	if (!choose_format(&w, format))
		return command_wrong(c,
		                     "\"%s\" is not a format; right would be maildir, mbox or eml",
		                     format);
	all = c->argc == 4;
	if (!query_read(&s.query, all ? 1 : c->argc - 4, all ? everything : c->argv + 4))
		return COMMAND_FAILED;
	return export_run(c, &w, &s);
}

#include "command/source.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "access/imap/grammar.h"
#include "base/arena.h"
#include "message/date.h"
#include "message/header.h"

enum { ROOM = 64 << 10, PATH_ROOM = 4096, FOLDER_ROOM = 1024, KNOWN_MOST = 16 << 10, LETTERS = 26 };

/* ---- a file, line by line ---- */

struct lines {
	int      fd;
	uint64_t at, end; /* of the file: what is read next           */
	size_t   from, have;
	bool     begins; /* the next piece begins a line             */
	bool     failed;
	char    *room;
};

static void
lines_open(struct lines *l, int fd, uint64_t at, uint64_t end)
{
	*l = (struct lines){ .fd = fd, .at = at, .end = end, .begins = true };
	l->room = memory_take(ROOM);
}

static void
lines_fill(struct lines *l)
{
	size_t  want = ROOM - l->have;
	ssize_t n;

	if (want > l->end - l->at)
		want = (size_t)(l->end - l->at);
	n = want > 0 ? pread(l->fd, l->room + l->have, want, (off_t)l->at) : 0;
	if (n < 0 || (n == 0 && want > 0 && l->end != UINT64_MAX))
		l->failed = true;
	if (n <= 0) {
		l->end = l->at;
		return;
	}
	l->have += (size_t)n;
	l->at += (uint64_t)n;
}

/* A line with its end; of one longer than the room a piece of it. */
static bool
lines_next(struct lines *l, struct bytes *piece, bool *begins)
{
	const char *end;

	if (memchr(l->room + l->from, '\n', l->have - l->from) == NULL && l->at < l->end) {
		memmove(l->room, l->room + l->from, l->have - l->from);
		l->have -= l->from;
		l->from = 0;
		while (l->have < ROOM && l->at < l->end)
			lines_fill(l);
	}
	if (l->from == l->have)
		return false;
	end = memchr(l->room + l->from, '\n', l->have - l->from);
	piece->at = l->room + l->from;
	piece->len = end != NULL ? (size_t)(end + 1 - piece->at) : l->have - l->from;
	l->from += piece->len;
	*begins = l->begins;
	l->begins = end != NULL;
	return true;
}

/* Where the next piece lies in the file. */
static uint64_t
lines_place(const struct lines *l)
{
	return l->at - (l->have - l->from);
}

static bool
lines_close(struct lines *l)
{
	memory_free(l->room);
	return !l->failed;
}

/* ---- what a letter is ---- */

static bool
is_field(struct bytes line, const char *name)
{
	size_t n = strlen(name);

	return line.len > n && line.at[n] == ':' && bytes_is(bytes_cut(line, 0, n), name);
}

/* Fields in which an mbox keeps what IMAP calls flags. */
static bool
is_flag_field(struct bytes line)
{
	static const char *const names[] = { "Status", "X-Status", "X-Keywords",
		                             "X-UID",  "X-IMAP",   "X-IMAPbase" };

	for (size_t i = 0; i < COUNT(names); i++)
		if (is_field(line, names[i]))
			return true;
	return false;
}

static bool
is_known_field(struct bytes line)
{
	return is_field(line, "Message-ID") || is_field(line, "Date") || is_field(line, "From") ||
	       is_field(line, "Subject");
}

static void
add_flag(struct buffer *flags, struct bytes flag)
{
	for (size_t i = 0; i < flag.len; i++)
		if (!is_atom_char(flag.at[i]) && !(i == 0 && flag.at[0] == '\\'))
			return;
	if (flag.len == 0)
		return;
	buffer_add_string(flags, flags->len > 0 ? " " : "");
	buffer_add(flags, flag);
}

/* Letters that stand for flags: in a Maildir's name, in Status and X-Status. */
static void
add_letters(struct buffer *flags, struct bytes letters, const char *const table[LETTERS])
{
	for (size_t i = 0; i < letters.len; i++)
		if (letters.at[i] >= 'A' && letters.at[i] <= 'Z' &&
		    table[letters.at[i] - 'A'] != NULL)
			add_flag(flags, bytes_of(table[letters.at[i] - 'A']));
}

static void
read_flag_field(struct letter_source *s, struct bytes line)
{
	static const char *const status[LETTERS] = { ['R' - 'A'] = "\\Seen" };
	static const char *const xstatus[LETTERS] = { ['A' - 'A'] = "\\Answered",
		                                      ['F' - 'A'] = "\\Flagged",
		                                      ['D' - 'A'] = "\\Deleted",
		                                      ['T' - 'A'] = "\\Draft" };
	struct bytes             body =
		bytes_trim(bytes_cut(line, (size_t)bytes_find(line, ':') + 1, line.len));
	struct bytes word;

	if (is_field(line, "Status"))
		add_letters(&s->flags, body, status);
	else if (is_field(line, "X-Status"))
		add_letters(&s->flags, body, xstatus);
	else if (is_field(line, "X-Keywords"))
		while (bytes_split(&body, ' ', &word))
			add_flag(&s->flags, word);
}

/* ---- a letter on its way ---- */

/* Which lines of the letter are passed. */
struct passing {
	bool body;     /* the header is over                            */
	bool dropping; /* a field that is not passed, and its folds      */
	bool noting;   /* a field that it is known by                    */
};

/* False: this line, or piece of one, stays behind.  `line` may lose a quote. */
static bool
passes(struct letter_source *s, struct passing *p, struct bytes *line, bool begins, bool note)
{
	size_t quotes = 0;

	if (p->body) {
		while (s->mbox && begins && quotes < line->len && line->at[quotes] == '>')
			quotes++;
		if (quotes > 0 && bytes_starts(bytes_cut(*line, quotes, line->len), BYTES("From ")))
			*line = bytes_cut(*line, 1, line->len);
		return true;
	}
	if (!begins || line->at[0] == ' ' || line->at[0] == '\t')
		return !p->dropping;
	p->dropping = s->mbox && is_flag_field(*line);
	p->noting = is_known_field(*line);
	p->body = line_unended(*line).len == 0;
	if (p->dropping && note)
		read_flag_field(s, line_unended(*line));
	return !p->dropping;
}

static void
count(void *size, struct bytes piece)
{
	*(uint64_t *)size += piece.len;
}

static bool
pass(struct letter_source *s, bool note, void (*put)(void *ctx, struct bytes), void *ctx)
{
	struct lines   l;
	struct passing p = { .body = false };
	struct bytes   piece, plain;
	bool           begins;

	lines_open(&l, s->fd, s->at, s->end);
	while (lines_next(&l, &piece, &begins)) {
		if (!passes(s, &p, &piece, begins, note))
			continue;
		plain = piece;
		if (piece.len > 0 && piece.at[piece.len - 1] == '\n')
			plain = line_unended(piece);
		put(ctx, plain);
		if (plain.len < piece.len)
			put(ctx, BYTES("\r\n"));
		if (note && p.noting && !p.body && s->known_by.len < KNOWN_MOST) {
			buffer_add(&s->known_by, plain);
			buffer_add_string(&s->known_by, plain.len < piece.len ? "\r\n" : "");
		}
	}
	return lines_close(&l);
}

bool
letter_pass(struct letter_source *s, void (*put)(void *ctx, struct bytes), void *ctx)
{
	return pass(s, false, put, ctx);
}

/* Reads it once for what must be known before it is passed. */
static bool
letter_study(struct letter_source *s)
{
	s->size = 0;
	buffer_reset(&s->known_by);
	return pass(s, true, count, &s->size);
}

static int64_t
date_field(const struct letter_source *s)
{
	struct bytes rest = buffer_bytes(&s->known_by), line;
	int64_t      seconds;
	int32_t      zone;

	while (bytes_split(&rest, '\n', &line))
		if (is_field(line, "Date") &&
		    date_parse(bytes_trim(bytes_cut(line, 5, line.len)), &seconds, &zone))
			return seconds;
	return 0;
}

static bool
complain(const char *path)
{
	(void)fprintf(stderr, "mansio: %s: %s\n", path, strerror(errno));
	return false;
}

static bool
letter_give(struct letter_source *s, source_fn *each, void *ctx)
{
	if (!letter_study(s)) {
		errno = EIO;
		return complain(s->path);
	}
	if (s->date == 0)
		s->date = date_field(s);
	return each(ctx, s);
}

static void
letter_forget(struct letter_source *s)
{
	buffer_free(&s->flags);
	buffer_free(&s->known_by);
}

/* ---- one file ---- */

/* Its date is its own: of an .eml that of the Date field, of a Maildir's when it came. */
static bool
give_file(struct letter_source *s, source_fn *each, void *ctx)
{
	struct stat st;
	bool        good;

	s->fd = open(s->path, O_RDONLY | O_CLOEXEC);
	if (s->fd < 0 || fstat(s->fd, &st) < 0)
		good = errno == ENOENT || complain(s->path); /* moved meanwhile */
	else {
		s->end = (uint64_t)st.st_size;
		good = letter_give(s, each, ctx);
	}
	if (s->fd >= 0)
		(void)close(s->fd);
	letter_forget(s);
	return good;
}

static int64_t
time_of(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 ? st.st_mtim.tv_sec : 0;
}

/* ---- mbox ---- */

/* "From " addr-spec SP asctime-date, with or without a zone and seconds (rfc4155:A). */
bool
mbox_date(struct bytes line, int64_t *seconds)
{
	static const char *const forms[] = { "%a %b %d %H:%M:%S %Y", "%a %b %d %H:%M %Y",
		                             "%a %b %d %H:%M:%S %Z %Y", "%a, %d %b %Y %H:%M:%S" };
	char                     text[256];
	struct tm                tm;

	if (!bytes_starts(line, BYTES("From ")) ||
	    !bytes_string(bytes_trim(line), text, sizeof text))
		return false;
	for (const char *p = text + 5; (p = strchr(p, ' ')) != NULL; p++)
		for (size_t i = 0; i < COUNT(forms); i++) {
			const char *end;
			memset(&tm, 0, sizeof tm);
			end = strptime(p + 1, forms[i], &tm);
			if (end != NULL && (*end == '\0' || *end == ' ') && tm.tm_year > 0) {
				*seconds = timegm(&tm);
				return true;
			}
		}
	return false;
}

static bool
give_mbox(int fd, const char *path, const char *folder, source_fn *each, void *ctx)
{
	struct letter_source s = { .path = path, .folder = folder, .fd = fd, .mbox = true };
	struct lines         l;
	struct bytes         piece;
	uint64_t             start = 0, blank = 0; /* of this line; of the blank one before */
	bool                 begins, empty = true, good = true, inside = false;
	int64_t              date;

	lines_open(&l, fd, 0, UINT64_MAX);
	for (; good && lines_next(&l, &piece, &begins); start = lines_place(&l)) {
		if (begins && empty && mbox_date(piece, &date)) {
			s.end = blank;
			good = !inside || letter_give(&s, each, ctx);
			buffer_reset(&s.flags);
			s.number++;
			s.date = date;
			s.at = lines_place(&l);
			inside = true;
		}
		empty = begins && line_unended(piece).len == 0;
		if (empty)
			blank = start;
	}
	s.end = empty && blank > s.at ? blank : start;
	if (good && inside)
		good = letter_give(&s, each, ctx);
	letter_forget(&s);
	return lines_close(&l) && good;
}

/* The standard input may be a pipe: what it says is kept in a file without a name. */
static int
keep_input(void)
{
	char    piece[ROOM / 4];
	FILE   *f = tmpfile();
	int     fd;
	ssize_t n;

	if (f == NULL)
		return -1;
	fd = fcntl(fileno(f), F_DUPFD_CLOEXEC, 0);
	(void)fclose(f);
	while (fd >= 0 && (n = read(STDIN_FILENO, piece, sizeof piece)) > 0)
		if (write(fd, piece, (size_t)n) != n) {
			(void)close(fd);
			return -1;
		}
	return fd;
}

/* An mbox or one letter. */
static bool
give_plain(const char *path, source_fn *each, void *ctx)
{
	struct letter_source s = { .path = path, .folder = "" };
	char                 head[5];
	struct stat          st;
	bool                 good;
	int fd = strcmp(path, "-") == 0 ? keep_input() : open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || fstat(fd, &st) < 0)
		good = complain(path);
	else if (st.st_size == 0)
		good = true;
	else if (pread(fd, head, sizeof head, 0) == (ssize_t)sizeof head &&
	         memcmp(head, "From ", sizeof head) == 0)
		good = give_mbox(fd, path, "", each, ctx);
	else {
		s.fd = fd;
		s.end = (uint64_t)st.st_size;
		good = letter_give(&s, each, ctx);
		letter_forget(&s);
	}
	if (fd >= 0)
		(void)close(fd);
	return good;
}

/* ---- directories ---- */

/* The names in it, sorted, so that a second run goes the same way. */
static int
names_in(const char *path, struct dirent ***names)
{
	int n = scandir(path, names, NULL, alphasort);

	return n;
}

static void
names_free(struct dirent **names, int n)
{
	for (int i = 0; i < n; i++)
		free(names[i]);
	free(names);
}

/* dovecot-keywords: "0 $Forwarded": the letter a of a name means that. */
static void
read_keywords(const char *path, char keyword[LETTERS][64])
{
	char     file[PATH_ROOM], name[64];
	unsigned n;
	FILE    *f;

	memset(keyword, 0, sizeof(char[LETTERS][64]));
	(void)snprintf(file, sizeof file, "%.4000s/dovecot-keywords", path);
	if ((f = fopen(file, "re")) == NULL)
		return;
	while (fscanf(f, "%u %63s", &n, name) == 2)
		if (n < LETTERS)
			(void)snprintf(keyword[n], sizeof keyword[n], "%s", name);
	(void)fclose(f);
}

static void
read_info(const char *name, char keyword[LETTERS][64], struct buffer *flags)
{
	static const char *const letters[LETTERS] = {
		['D' - 'A'] = "\\Draft",    ['F' - 'A'] = "\\Flagged", ['P' - 'A'] = "$Forwarded",
		['R' - 'A'] = "\\Answered", ['S' - 'A'] = "\\Seen",    ['T' - 'A'] = "\\Deleted",
	};
	const char *info = strstr(name, ":2,");

	if (info == NULL)
		return;
	add_letters(flags, bytes_of(info + 3), letters);
	for (const char *p = info + 3; *p != '\0'; p++)
		if (*p >= 'a' && *p <= 'z')
			add_flag(flags, bytes_of(keyword[*p - 'a']));
}

/* One of a Maildir's cur and new. */
static bool
give_part(const char *path, const char *part, const char *folder, char keyword[LETTERS][64],
          source_fn *each, void *ctx)
{
	char            directory[PATH_ROOM], file[PATH_ROOM];
	struct dirent **names = NULL;
	int             n;
	bool            good = true;

	(void)snprintf(directory, sizeof directory, "%.3900s/%s", path, part);
	if ((n = names_in(directory, &names)) < 0)
		return complain(directory);
	for (int i = 0; i < n && good; i++) {
		struct letter_source s = { .path = file, .folder = folder };
		if (names[i]->d_name[0] == '.')
			continue;
		(void)snprintf(file, sizeof file, "%.3800s/%.255s", directory, names[i]->d_name);
		read_info(names[i]->d_name, keyword, &s.flags);
		s.date = time_of(file);
		good = give_file(&s, each, ctx);
	}
	names_free(names, n);
	return good;
}

static bool
give_folder(const char *path, const char *folder, source_fn *each, void *ctx)
{
	char keyword[LETTERS][64];

	read_keywords(path, keyword);
	return give_part(path, "cur", folder, keyword, each, ctx) &&
	       give_part(path, "new", folder, keyword, each, ctx);
}

static bool
is_maildir(const char *path)
{
	char        part[PATH_ROOM];
	struct stat st;

	(void)snprintf(part, sizeof part, "%.4000s/cur", path);
	if (stat(part, &st) < 0 || !S_ISDIR(st.st_mode))
		return false;
	(void)snprintf(part, sizeof part, "%.4000s/new", path);
	return stat(part, &st) == 0 && S_ISDIR(st.st_mode);
}

/* Maildir++: levels are joined by dots; a dot within a name is written as modified UTF-7 would. */
bool
maildir_folder(const char *directory, char *out, size_t room)
{
	struct arena *scratch = arena_open(NULL);
	struct buffer whole = { 0 };
	struct bytes  rest = bytes_of(directory + 1), level;
	const char   *name;
	bool          good = directory[0] == '.' && directory[1] != '\0' && directory[1] != '.';

	while (good && bytes_split(&rest, '.', &level)) {
		struct bytes dot = BYTES("&AC4-");
		ptrdiff_t    at;
		buffer_add_string(&whole, whole.len > 0 ? "/" : "");
		while ((at = bytes_search(level, dot)) >= 0) {
			buffer_add(&whole, bytes_cut(level, 0, (size_t)at));
			buffer_add_char(&whole, '.');
			level = bytes_cut(level, (size_t)at + dot.len, level.len);
		}
		buffer_add(&whole, level);
	}
	name = good ? mailbox_name_of(buffer_bytes(&whole), scratch, false) : NULL;
	if (name == NULL && good) /* not modified UTF-7: as it is */
		name = arena_copy(scratch, buffer_bytes(&whole));
	good = name != NULL && bytes_string(bytes_of(name), out, room);
	buffer_free(&whole);
	arena_close(&scratch);
	return good;
}

/* Whether this name within a Maildir is one of its folders, and which. */
static bool
is_folder(const char *directory, const char *name, char *folder, size_t room)
{
	return maildir_folder(name, folder, room) && is_maildir(directory);
}

static bool
give_maildir(const char *path, source_fn *each, void *ctx)
{
	char            directory[PATH_ROOM], folder[PATH_ROOM];
	struct dirent **names = NULL;
	bool            good = give_folder(path, "", each, ctx);
	int             n = names_in(path, &names);

	for (int i = 0; i < n && good; i++) {
		(void)snprintf(directory, sizeof directory, "%.3800s/%.255s", path,
		               names[i]->d_name);
		if (is_folder(directory, names[i]->d_name, folder, sizeof folder))
			good = give_folder(directory, folder, each, ctx);
	}
	names_free(names, n < 0 ? 0 : n);
	return good && n >= 0;
}

/* A file in a directory is an mbox when its first line is one's: other files lie there, too. */
static bool
begins_as_mbox(int fd)
{
	char         head[512];
	ssize_t      n = pread(fd, head, sizeof head, 0);
	struct bytes rest = { head, n > 0 ? (size_t)n : 0 }, line;
	int64_t      date;

	return bytes_split(&rest, '\n', &line) && mbox_date(line, &date);
}

/* The level a file or directory is: without .mbox, or the .sbd that Thunderbird has, and out of modified UTF-7. */
static void
level_of(const char *name, char *out, size_t room)
{
	static const char *const endings[] = { ".mbox", ".sbd" };
	struct arena            *scratch = arena_open(NULL);
	struct bytes             plain = bytes_of(name);
	const char              *decoded;

	for (size_t i = 0; i < COUNT(endings); i++)
		if (plain.len > strlen(endings[i]) &&
		    bytes_ends_nocase(plain, bytes_of(endings[i])))
			plain.len -= strlen(endings[i]);
	decoded = mailbox_name_of(plain, scratch, false);
	if (decoded == NULL || !bytes_string(bytes_of(decoded), out, room))
		(void)bytes_string(plain, out, room);
	arena_close(&scratch);
}

/* False after saying why: the name of a mailbox would be too long. */
static bool
folder_below(const char *path, const char *folder, const char *name, char out[static FOLDER_ROOM])
{
	char level[256] = "";
	int  n;

	level_of(name, level, sizeof level);
	n = snprintf(out, FOLDER_ROOM, "%s%s%s", folder, *folder != '\0' ? "/" : "", level);
	if (n < FOLDER_ROOM)
		return true;
	errno = ENAMETOOLONG;
	return complain(path);
}

/* Mailboxes as files, as mbox: has them, or Thunderbird, or `message export` wrote them. */
static bool
give_mailbox_file(const char *path, const char *name, const char *folder, source_fn *each,
                  void *ctx)
{
	char inner[FOLDER_ROOM];
	int  fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	bool good = true;

	if (fd < 0)
		return errno == ENOENT || complain(path);
	if (begins_as_mbox(fd))
		good = folder_below(path, folder, name, inner) &&
		       give_mbox(fd, path, bytes_is(bytes_of(inner), "INBOX") ? "" : inner, each,
		                 ctx);
	(void)close(fd);
	return good;
}

static bool give_directory(const char *path, const char *folder, source_fn *, void *ctx);

/* A link to a directory is not followed: it may lead back.  How long names may become ends the levels. */
static bool
give_entry(const char *path, const char *name, const char *folder, source_fn *each, void *ctx)
{
	struct letter_source s = { .path = path, .folder = folder };
	char                 inner[FOLDER_ROOM];
	struct stat          st;
	bool                 there;

	if (*folder == '\0' && is_folder(path, name, inner, sizeof inner))
		return give_folder(path, inner, each, ctx);
	there = lstat(path, &st) == 0;
	if (!there || !S_ISDIR(st.st_mode)) {
		if (bytes_ends_nocase(bytes_of(name), BYTES(".eml")))
			return give_file(&s, each, ctx);
		return !there || name[0] == '.' || !S_ISREG(st.st_mode) ||
		       give_mailbox_file(path, name, folder, each, ctx);
	}
	if (name[0] == '.')
		return true;
	if (!folder_below(path, folder, name, inner))
		return false;
	return give_directory(path, inner, each, ctx);
}

/* .eml and mboxes, those of other mailboxes in directories below; or the folders of a Maildir that has no INBOX. */
static bool
give_directory(const char *path, const char *folder, source_fn *each, void *ctx)
{
	char            entry[PATH_ROOM];
	struct dirent **names = NULL;
	bool            good = true;
	int             n = names_in(path, &names);

	if (n < 0)
		return complain(path);
	for (int i = 0; i < n && good; i++) {
		(void)snprintf(entry, sizeof entry, "%.3800s/%.255s", path, names[i]->d_name);
		good = give_entry(entry, names[i]->d_name, folder, each, ctx);
	}
	names_free(names, n);
	return good;
}

bool
source_each(const char *path, source_fn *each, void *ctx)
{
	struct stat st;

	if (strcmp(path, "-") == 0)
		return give_plain(path, each, ctx);
	if (stat(path, &st) < 0)
		return complain(path);
	if (!S_ISDIR(st.st_mode))
		return give_plain(path, each, ctx);
	return is_maildir(path) ? give_maildir(path, each, ctx)
	                        : give_directory(path, "", each, ctx);
}

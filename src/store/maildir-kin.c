/* maildir-kin.c -- what Dovecot and Courier keep beside the letters of a Maildir (maildir.h) */
#include "store/maildir.h"

#include "base/file.h"
#include "message/encoding.h"
#include "spool/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { KIN_MOST = 64 << 20 };

/* A file of somebody else's program, whole, if it is one and not too large. */
static bool
read_kin(int dir, const char *name, struct buffer *out)
{
	struct stat st;
	int         fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	bool        good;

	if (fd < 0)
		return false;
	good = fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size <= KIN_MOST &&
	       file_read(fd, KIN_MOST + 1, out) == 0;
	(void)close(fd);
	return good;
}

/* ---- uids ---- */

static bool
number_at(struct bytes *rest, uint32_t *out)
{
	struct bytes word;
	uint64_t     n;

	if (!bytes_split(rest, ' ', &word) || !bytes_number(word, &n) || n > UINT32_MAX)
		return false;
	*out = (uint32_t)n;
	return true;
}

/* "3 V1275660208 N25022 G3085f01b7f11094c501100008c4a11c1", or "1 1173189136 20221" */
static bool
uidlist_head(struct bytes line, uint32_t *version, uint32_t *uidvalidity, uint32_t *uidnext)
{
	struct bytes word;
	uint64_t     n;

	*uidvalidity = *uidnext = 0;
	if (!number_at(&line, version))
		return false;
	if (*version == 1)
		return number_at(&line, uidvalidity) && number_at(&line, uidnext);
	if (*version != 3)
		return false;
	while (bytes_split(&line, ' ', &word)) {
		if (word.len < 2 || !bytes_number(bytes_cut(word, 1, word.len), &n) ||
		    n > UINT32_MAX)
			continue;
		if (word.at[0] == 'V')
			*uidvalidity = (uint32_t)n;
		else if (word.at[0] == 'N')
			*uidnext = (uint32_t)n;
	}
	return *uidvalidity != 0;
}

bool
uidlist_read(struct bytes text, uint32_t *uidvalidity, uint32_t *uidnext,
             void (*each)(void *ctx, struct bytes name, uint32_t uid), void *ctx)
{
	struct bytes line;
	uint32_t     version, last = 0;

	if (!bytes_split(&text, '\n', &line) || !uidlist_head(line, &version, uidvalidity, uidnext))
		return false;
	while (bytes_split(&text, '\n', &line)) {
		uint32_t  uid;
		ptrdiff_t colon;
		if (line.len == 0 || !number_at(&line, &uid) || uid <= last)
			continue; /* what is out of order has no uid a client could trust */
		if (version == 3) {
			/* "25006 W2481 :1276528487.M364837P9451.kurkku,S=1355,W=1394:2," */
			if (line.len > 0 && line.at[0] == ':')
				line = bytes_cut(line, 1, line.len);
			else if ((colon = bytes_search(line, BYTES(" :"))) >= 0)
				line = bytes_cut(line, (size_t)colon + 2, line.len);
			else
				continue;
		}
		if ((colon = bytes_find(line, ':')) >= 0)
			line = bytes_cut(line, 0, (size_t)colon);
		if (line.len == 0)
			continue;
		last = uid;
		each(ctx, line, uid);
	}
	if (*uidnext <= last)
		*uidnext = last + 1;
	return true;
}

static void
note_uid(void *ctx, struct bytes name, uint32_t uid)
{
	(void)map_put(ctx, name, (void *)(uintptr_t)uid);
}

bool
maildir_former(struct folder *f, uint32_t *uidvalidity, uint32_t *uidnext)
{
	struct maildir *d = f->mine;
	struct buffer   text = { 0 };
	bool            found = false;

	d->uids = map_open();
	if (read_kin(d->base, "dovecot-uidlist", &text))
		found = uidlist_read(buffer_bytes(&text), uidvalidity, uidnext, note_uid, d->uids);
	buffer_free(&text);
	if (!found)
		map_close(&d->uids);
	return found;
}

/* ---- keywords ---- */

void
maildir_keywords_read(struct folder *f)
{
	struct maildir *d = f->mine;
	struct buffer   text = { 0 };
	struct bytes    rest, line, number;
	struct stat     st;
	uint64_t        n;

	if (fstatat(d->base, "dovecot-keywords", &st, AT_SYMLINK_NOFOLLOW) < 0 ||
	    (st.st_mtim.tv_sec == d->keywords_at[0] && st.st_mtim.tv_nsec == d->keywords_at[1]))
		return;
	if (!read_kin(d->base, "dovecot-keywords", &text)) {
		buffer_free(&text);
		return;
	}
	rest = buffer_bytes(&text);
	while (bytes_split(&rest, '\n', &line)) {
		if (!bytes_split(&line, ' ', &number) || !bytes_number(number, &n) ||
		    n >= KEYWORD_LETTERS || line.len == 0 || line.len > 64 ||
		    bytes_find(line, '\0') >= 0)
			continue;
		memory_free(d->keyword[n]);
		d->keyword[n] = memcpy(memory_take(line.len + 1), line.at, line.len);
	}
	buffer_free(&text);
	d->keywords_at[0] = st.st_mtim.tv_sec;
	d->keywords_at[1] = st.st_mtim.tv_nsec;
}

static bool
has_letter(const struct maildir *d, const char *keyword)
{
	for (int i = 0; i < KEYWORD_LETTERS; i++)
		if (d->keyword[i] != NULL && bytes_is(bytes_of(keyword), d->keyword[i]))
			return true;
	return bytes_is(bytes_of(keyword), "$Forwarded");
}

/* Written whole and renamed, as Dovecot does it. */
static void
keywords_write(struct maildir *d)
{
	struct buffer text = { 0 };
	struct stat   st;
	int           fd = openat(d->part[MAILDIR_TMP], "dovecot-keywords.new",
	                          O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0)
		return;
	for (int i = 0; i < KEYWORD_LETTERS; i++)
		if (d->keyword[i] != NULL)
			buffer_printf(&text, "%d %s\n", i, d->keyword[i]);
	if (disk_write(fd, text.at, text.len, 0) == 0 &&
	    renameat(d->part[MAILDIR_TMP], "dovecot-keywords.new", d->base, "dovecot-keywords") ==
	            0 &&
	    fstat(fd, &st) == 0) {
		d->keywords_at[0] = st.st_mtim.tv_sec;
		d->keywords_at[1] = st.st_mtim.tv_nsec;
	}
	(void)close(fd);
	buffer_free(&text);
}

void
maildir_keywords_keep(struct folder *f)
{
	struct maildir *d = f->mine;
	bool            fresh = false;

	for (int k = 0; k < f->mailbox->keywords; k++) {
		const char *name = f->mailbox->keyword[k];
		int         i = 0;
		if (has_letter(d, name))
			continue;
		if (!fresh)
			maildir_keywords_read(f);
		if (has_letter(d, name))
			continue;
		while (i < KEYWORD_LETTERS && d->keyword[i] != NULL)
			i++;
		if (i == KEYWORD_LETTERS)
			break;
		d->keyword[i] = memcpy(memory_take(strlen(name) + 1), name, strlen(name) + 1);
		fresh = true;
	}
	if (fresh)
		keywords_write(d);
}

/* ---- subscriptions ---- */

/* Dovecot's of version 1: a name a line, dots between levels; of version 2: "V\t2", an empty line, tabs between
   levels, UTF-8.  Courier's: "INBOX.Sent".  All in modified UTF-7 but the second. */
static void
subscription_line(struct bytes line, char between, bool coded, struct buffer *out)
{
	struct buffer plain = { 0 };

	if (coded && utf7_to_utf8(line, &plain))
		line = buffer_bytes(&plain);
	buffer_reset(out);
	for (size_t i = 0; i < line.len; i++)
		buffer_add_char(out, line.at[i] == between ? '/' : line.at[i]);
	buffer_add_char(out, '\0');
	buffer_free(&plain);
}

void
kin_subscriptions(int dir, const char *file, char between, struct bytes above,
                  void (*each)(void *ctx, const char *name), void *ctx)
{
	struct buffer text = { 0 }, name = { 0 };
	struct bytes  rest, line;
	bool          second;

	if (!read_kin(dir, file, &text))
		buffer_reset(&text);
	rest = buffer_bytes(&text);
	if ((second = bytes_starts(rest, BYTES("V\t2\n\n"))))
		rest = bytes_cut(rest, 5, rest.len);
	while (bytes_split(&rest, '\n', &line)) {
		line = bytes_trim(line);
		if (bytes_starts_nocase(line, above))
			line = bytes_cut(line, above.len, line.len);
		if (line.len == 0 || bytes_find(line, '\0') >= 0)
			continue;
		subscription_line(line, second ? '\t' : between, !second, &name);
		each(ctx, name.at);
	}
	buffer_free(&name);
	buffer_free(&text);
}

void
maildir_subscriptions(struct place *p, void (*each)(void *ctx, const char *name), void *ctx)
{
	kin_subscriptions(p->root, "subscriptions", '.', (struct bytes){ NULL, 0 }, each, ctx);
	kin_subscriptions(p->root, "courierimapsubscribed", '.', BYTES("INBOX."), each, ctx);
}

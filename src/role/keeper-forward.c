/*
 * keeper-forward -- ~/.forward: the user's own word about where mail goes; its targets become recipients of the same letter
 */
#include "base/file.h"
#include "delivery/forward.h"
#include "directory/directory.h"
#include "directory/lookup.h"
#include "message/envelope.h"
#include "role/confine.h"
#include "role/keeper.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { INCLUDES_DEEP = 3 };

/* One letter's forwarding. */
struct forwarding {
	struct house              *house;
	struct arena              *arena;
	const struct word_deliver *word;
	const struct system_user  *user;
	struct resolve_target     *target;
	uint32_t                   targets;
	struct bytes               extension; /* with its delimiter, put behind every address */
	bool                       own;       /* the mailbox itself gets it, too              */
};

/* ---- the file ---- */

/* Whether somebody else could have written it. */
static const char *
complaint(const struct stat *st, uid_t uid)
{
	if (!S_ISREG(st->st_mode))
		return "is no file";
	if (st->st_uid != uid && st->st_uid != 0)
		return "belongs to somebody else";
	if ((st->st_mode & (S_IWGRP | S_IWOTH)) != 0)
		return "can be written by others";
	return st->st_size > FORWARD_TEXT_MOST ? "is too long" : NULL;
}

/* 0 with its text; ENOENT: there is none, or none that counts; another errno: it cannot be told now. */
static int
read_file(const char *path, uid_t uid, struct buffer *out)
{
	int         fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
	struct stat st;
	const char *wrong = NULL;
	int         why;

	if (fd < 0) {
		why = errno;
		if (why != ENOENT && why != ENOTDIR)
			warn_("%s: %s", path, strerror(why));
		return why == EIO || why == ESTALE || why == EMFILE || why == ENFILE ? why : ENOENT;
	}
	why = fstat(fd, &st) < 0 ? errno : 0;
	if (why == 0 && (wrong = complaint(&st, uid)) != NULL) {
		warn_("%s %s: it does not count", path, wrong);
		why = ENOENT;
	}
	if (why == 0)
		why = file_read(fd, FORWARD_TEXT_MOST + 1, out);
	(void)close(fd);
	return why == EFBIG ? 0 : why; /* it has grown meanwhile */
}

/* ---- its targets ---- */

static bool
is_allowed(struct house *h, const char *setting, const char *place)
{
	const char  *list = settings_value(h->settings, setting);
	struct bytes rest = bytes_of(list != NULL ? list : ""), word;

	while (bytes_split(&rest, ',', &word)) {
		word = bytes_trim(word);
		for (struct bytes part; bytes_split(&word, ' ', &part);)
			if (bytes_is(bytes_trim(part), place))
				return true;
	}
	return false;
}

struct bytes
keeper_delivered_to(struct house *h, const struct word_deliver *w, const char *what)
{
	if (!is_allowed(h, "prepend_delivered_header", what))
		return (struct bytes){ NULL, 0 };
	return w->entered.len > 0 ? w->entered : w->address;
}

static void
add(struct forwarding *f, uint64_t account, struct bytes address, struct bytes detail)
{
	for (uint32_t i = 0; i < f->targets; i++)
		if (f->target[i].account == account && bytes_equal(f->target[i].address, address) &&
		    bytes_equal(f->target[i].detail, detail))
			return;
	if (f->targets < FORWARD_TARGETS_MOST)
		f->target[f->targets++] = (struct resolve_target){ .account = account,
			                                           .address = address,
			                                           .detail = detail };
}

/* The user, the address of the letter, and that without its detail. */
static bool
is_own_address(struct forwarding *f, struct bytes text)
{
	struct bytes address = arena_lower(f->arena, f->word->address);
	ptrdiff_t    at = bytes_find_last(address, '@');
	struct bytes bare = bytes_of(arena_printf(f->arena, "%s%.*s", f->user->name,
	                                          at < 0 ? 0 : (int)(address.len - (size_t)at),
	                                          at < 0 ? "" : address.at + at));

	text = arena_lower(f->arena, text);
	return bytes_equal(text, bytes_of(f->user->name)) || bytes_equal(text, address) ||
	       bytes_equal(text, bare);
}

/* A name alone is one of this machine.  The user's own stands for the mailbox. */
static void
add_address(struct forwarding *f, struct bytes text)
{
	if (is_own_address(f, text)) {
		f->own = true;
		return;
	}
	if (bytes_find(text, '@') < 0)
		text = bytes_of(arena_printf(f->arena, "%.*s@%s", (int)text.len, text.at,
		                             f->house->common.myorigin));
	add(f, 0, lookup_extended(f->arena, text, f->extension), (struct bytes){ NULL, 0 });
}

static void add_text(struct forwarding *, const char *path, struct bytes text, unsigned deep);

static void
add_include(struct forwarding *f, struct bytes path, unsigned deep)
{
	const char   *name = arena_copy(f->arena, path);
	struct buffer text = { 0 };

	if (deep < INCLUDES_DEEP && read_file(name, f->user->uid, &text) == 0)
		add_text(f, name, arena_keep(f->arena, buffer_bytes(&text)), deep + 1);
	else
		f->own = true; /* nothing is lost */
	buffer_free(&text);
}

/* What may not be done is not done; then the mailbox has it. */
static void
add_handoff(struct forwarding *f, const char *path, const struct forward_target *t, unsigned deep)
{
	bool        command = t->kind == FORWARD_COMMAND;
	const char *setting = command ? "allow_mail_to_commands" : "allow_mail_to_files";
	const char *place = deep == 0 ? "forward" : "include";

	if (is_allowed(f->house, setting, place)) {
		add(f, system_account(command ? SYSTEM_COMMAND : SYSTEM_FILE, f->user->uid),
		    keeper_whole_address(f->house, f->word), arena_keep(f->arena, t->text));
		return;
	}
	warn_("%s: \"%.*s\" is not allowed, and the mailbox has the letter: %s lacks %s", path,
	      (int)t->text.len, t->text.at, setting, place);
	f->own = true;
}

static void
add_text(struct forwarding *f, const char *path, struct bytes text, unsigned deep)
{
	struct forward_target *t = arena_take_array(f->arena, FORWARD_TARGETS_MOST, sizeof *t);
	bool                   wrong;
	size_t                 n = forward_read(text, f->arena, t, &wrong);

	if (wrong)
		warn_("%s: some of it cannot be understood and is left out", path);
	for (size_t i = 0; i < n; i++)
		switch (t[i].kind) {
		case FORWARD_ADDRESS:
		case FORWARD_MAILBOX: add_address(f, t[i].text); break;
		case FORWARD_INCLUDE: add_include(f, t[i].text, deep); break;
		default: add_handoff(f, path, &t[i], deep); break;
		}
}

/* ---- the letter ---- */

/* What is put behind the addresses of a file again: not what it was found by. */
static struct bytes
extension_on(struct forwarding *f, struct bytes form)
{
	const char *delimiter = settings_value(f->house->settings, "recipient_delimiter");

	if (f->word->detail.len == 0 || delimiter == NULL || *delimiter == '\0' ||
	    bytes_search(form, BYTES("extension")) >= 0 ||
	    !is_allowed(f->house, "propagate_unmatched_extensions", "forward"))
		return (struct bytes){ NULL, 0 };
	return bytes_of(arena_printf(f->arena, "%c%.*s", *delimiter, (int)f->word->detail.len,
	                             f->word->detail.at));
}

/* The first file of forward_path that counts.  0: there is one; ENOENT: none. */
static int
find_forward(struct forwarding *f, struct buffer *text, const char **path)
{
	const struct setting_list *list = &f->house->common.forward_path;
	ptrdiff_t                  at = bytes_find_last(f->word->address, '@');
	struct forward_facts       facts = {
		      .home = bytes_of(f->user->home),
		      .user = bytes_of(f->user->name),
		      .local = at < 0 ? f->word->address : bytes_cut(f->word->address, 0, (size_t)at),
		      .domain = at < 0 ? (struct bytes){ NULL, 0 }
		                       : bytes_cut(f->word->address, (size_t)at + 1, SIZE_MAX),
		      .extension = f->word->detail,
	};

	for (size_t i = 0; i < list->count; i++) {
		struct buffer name = { 0 };
		int           why = ENOENT;
		if (forward_path(bytes_of(list->item[i]), &facts, &name)) {
			*path = arena_copy(f->arena, buffer_bytes(&name));
			why = read_file(*path, f->user->uid, text);
			f->extension = extension_on(f, bytes_of(list->item[i]));
		}
		buffer_free(&name);
		if (why != ENOENT)
			return why;
		buffer_reset(text);
	}
	return ENOENT;
}

bool
keeper_forward(struct house *h, uint32_t ticket, const struct word_deliver *w)
{
	struct keeper    *k = keeper_of(h);
	struct forwarding f = { .house = h, .arena = k->scratch, .word = w, .user = house_user(h) };
	struct buffer     text = { 0 };
	const char       *path = "";
	int               why = find_forward(&f, &text, &path);

	f.target = arena_take_array(f.arena, FORWARD_TARGETS_MOST + 1, sizeof *f.target);
	if (why == 0)
		add_text(&f, path, buffer_bytes(&text), 0);
	if (f.own && f.targets > 0)
		f.target[f.targets++] =
			(struct resolve_target){ .account = system_account(SYSTEM_OWN_MAILBOX,
			                                                   f.user->uid),
			                         .address = w->address,
			                         .detail = w->detail };
	if (why != 0 && why != ENOENT)
		keeper_delivered(h, ticket,
		                 &(struct word_delivered){ .result = DELIVER_LATER,
		                                           .status = "4.2.0",
		                                           .text = arena_printf(f.arena, "%s: %s",
		                                                                path,
		                                                                strerror(why)) });
	else if (f.targets > 0)
		keeper_delivered(h, ticket,
		                 &(struct word_delivered){ .result = DELIVER_FORWARDED,
		                                           .status = "2.0.0",
		                                           .text = "forwarded",
		                                           .target = f.target,
		                                           .targets = f.targets });
	buffer_free(&text);
	return f.targets > 0 || (why != 0 && why != ENOENT);
}

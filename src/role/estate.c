#include "role/askers.h"
#include "role/estate_inner.h"
#include "role/sasl-settings.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/checksum.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/journal.h"
#include "base/random.h"
#include "channel/listener.h"
#include "role/confine.h"
#include "role/house.h"
#include "role/interfaces.h"
#include "role/tables.h"
#include "role/transports.h"

enum { PATH_ROOM = 4096, FILE_MOST = 4 << 20, LOCK_WAIT_MS = 10000 };

/*
 * Directories
 */

/* clang-format off */
/* Where, whose, which group can read, and the mode. POSTMASTER: the postmaster's own. */
static const struct plot {
	const char *path;
	enum role   owner, group;
	mode_t      mode;
} plots[] = {
	{ "",               POSTMASTER, POSTMASTER, 0755 },
	{ "run",            POSTMASTER, POSTMASTER, 0755 },
	{ "empty",          POSTMASTER, POSTMASTER, 0555 },
	{ "spool",          QUEUE,      KEEPER,     0750 },
	{ "spool/letters",  QUEUE,      KEEPER,     02750 },
	{ "store",          KEEPER,     KEEPER,     0700 },
	{ "store/accounts", KEEPER,     KEEPER,     0700 },
	{ "users",          POSTMASTER, POSTMASTER, 0711 },
	{ "directory",      CLERK,      CLERK,      0700 },
	{ "policy",         POLICY,     POLICY,     0700 },
	{ "events",         CHRONICLE,  CHRONICLE,  0700 },
	{ "certificates",   CERTIFIER,  CERTIFIER,  0700 },
};
/* clang-format on */

static void
path_of(char path[static PATH_ROOM], const struct common_settings *common, const char *under)
{
	(void)snprintf(path, PATH_ROOM, *under == '\0' ? "%s" : "%s/%s", common->mail_directory,
	               under);
}

static bool
refuse(struct buffer *errors, const char *path, const char *why)
{
	buffer_printf(errors, "%s: %s\n", path, why);
	return false;
}

static struct role_account
owner_of(enum role role, const struct common_settings *common)
{
	if (geteuid() != 0)
		return (struct role_account){ geteuid(), getegid() };
	return role == POSTMASTER ? (struct role_account){ 0, 0 } : role_account(role, common);
}

/* The directories above the mail directory; those that are there stay as they are. */
static void
make_parents(const char *path)
{
	char part[PATH_ROOM];

	for (size_t n = 1; path[n] != '\0' && n < sizeof part; n++) {
		if (path[n] != '/')
			continue;
		memcpy(part, path, n);
		part[n] = '\0';
		(void)mkdir(part, 0755);
	}
}

/* An account and a group that a directory must have. */
struct owners {
	uid_t uid;
	gid_t gid;
};

static bool
check_plot(const char *path, int fd, const struct plot *p, struct owners o, struct buffer *errors)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return refuse(errors, path, strerror(errno));
	if (st.st_uid != o.uid || (p->owner != POSTMASTER && st.st_gid != o.gid)) {
		buffer_printf(
			errors,
			"%s: this belongs to uid %u, gid %u, and must belong to uid %u, gid %u; "
			"if it is Mansio's: chown -R %u:%u %s\n",
			path, st.st_uid, st.st_gid, o.uid, o.gid, o.uid, o.gid, path);
		return false;
	}
	if ((st.st_mode & S_IWOTH) != 0) {
		buffer_printf(errors,
		              "%s: anybody may write here; if it is Mansio's: chmod o-w %s\n", path,
		              path);
		return false;
	}
	if (p->owner != POSTMASTER && (st.st_mode & 07777) != p->mode && fchmod(fd, p->mode) < 0)
		return refuse(errors, path, strerror(errno));
	return true;
}

/* Made if it is not there.  Whoever owns the directory above cannot lead us
   elsewhere: all is done on the descriptor. */
static bool
make_plot(const char *path, const struct plot *p, struct owners o, struct buffer *errors)
{
	bool made = mkdir(path, p->mode & 0777) == 0, good;
	int  fd;

	if (!made && errno != EEXIST)
		return refuse(errors, path, strerror(errno));
	if ((fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)) < 0)
		return refuse(errors, path, strerror(errno));
	if (made && (fchown(fd, o.uid, o.gid) < 0 || fchmod(fd, p->mode) < 0))
		good = refuse(errors, path, strerror(errno));
	else
		good = check_plot(path, fd, p, o, errors);
	(void)close(fd);
	return good;
}

bool
estate_make_directories(const struct common_settings *common, struct buffer *errors)
{
	char path[PATH_ROOM];

	make_parents(common->mail_directory);
	for (size_t i = 0; i < COUNT(plots); i++) {
		struct owners o = { owner_of(plots[i].owner, common).uid,
			            owner_of(plots[i].group, common).gid };
		path_of(path, common, plots[i].path);
		if (!make_plot(path, &plots[i], o, errors))
			return false;
	}
	return true;
}

/*
 * The lock
 */

static pid_t
pid_in(int fd)
{
	char     text[32];
	ssize_t  n = pread(fd, text, sizeof text, 0);
	uint64_t pid;

	return n > 0 && bytes_number(bytes_trim((struct bytes){ text, (size_t)n }), &pid)
	               ? (pid_t)pid
	               : 0;
}

/* The roles of a postmaster that died hold the lock until they have noticed. */
static bool
lock_wait(int fd)
{
	int64_t         until = clock_patient_ms() + LOCK_WAIT_MS;
	struct timespec pause = { 0, 20 * 1000000L };
	pid_t           pid;

	while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		pid = pid_in(fd);
		if (errno != EWOULDBLOCK || (pid > 0 && (kill(pid, 0) == 0 || errno == EPERM)) ||
		    clock_patient_ms() > until)
			return false;
		(void)nanosleep(&pause, NULL);
	}
	return true;
}

int
estate_lock(const struct common_settings *common, const char *file, struct buffer *errors)
{
	char path[PATH_ROOM], text[32];
	int  fd, n;

	path_of(path, common, "run/mansio.pid");
	if ((fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644)) < 0)
		goto err0;
	if (!lock_wait(fd)) {
		buffer_printf(errors,
		              "a server is running already for %s: process %d holds %s; "
		              "stop it with: mansio -c %s stop\n",
		              file, pid_in(fd), path, file);
		(void)close(fd);
		return -1;
	}
	n = snprintf(text, sizeof text, "%d\n", getpid());
	if (ftruncate(fd, 0) < 0 || pwrite(fd, text, (size_t)n, 0) != n)
		goto err1;
	return fd;

err1:
	(void)close(fd);
err0:
	(void)refuse(errors, path, strerror(errno));
	return -1;
}

void
estate_unlock(const struct common_settings *common)
{
	char path[PATH_ROOM];

	path_of(path, common, "run/mansio.pid");
	(void)unlink(path);
}

/*
 * Holdings
 */

static char *
string_copy(const char *s)
{
	size_t n = strlen(s);
	char  *copy = memory_take(n + 1);

	memcpy(copy, s, n + 1);
	return copy;
}

struct holding *
estate_hold(struct opening *o, const char *name, const char *text, int fd, unsigned roles)
{
	struct holding **at = &o->estate->first, *h = memory_take(sizeof *h);

	*h = (struct holding){ .name = string_copy(name),
		               .text = string_copy(text),
		               .fd = fd,
		               .roles = roles,
		               .index = EVERY_INDEX };
	while (*at != NULL)
		at = &(*at)->next;
	*at = h;
	return h;
}

static const struct holding *
find(const struct estate *e, const char *name, const char *text)
{
	if (e == NULL)
		return NULL;
	for (const struct holding *h = e->first; h != NULL; h = h->next)
		if (strcmp(h->name, name) == 0 && strcmp(h->text, text) == 0)
			return h;
	return NULL;
}

/* What is open already stays open. */
struct holding *
estate_take_over(struct opening *o, const char *name, const char *text, unsigned roles)
{
	const struct holding *old = find(o->before, name, text);
	struct holding       *h;

	if (old == NULL)
		return NULL;
	h = estate_hold(o, name, text, old->fd, roles);
	h->borrowed = true;
	return h;
}

/* An address that went from one service to another: the socket goes with it. */
struct holding *
estate_take_address(struct opening *o, const char *name, const char *address, unsigned roles)
{
	int fd;

	if (o->before == NULL)
		return NULL;
	for (const struct holding *h = o->before->first; h != NULL; h = h->next)
		if (strncmp(h->name, "listener/", 9) == 0 && strcmp(h->text, address) == 0 &&
		    (fd = fcntl(h->fd, F_DUPFD_CLOEXEC, 0)) >= 0)
			return estate_hold(o, name, address, fd, roles);
	return NULL;
}

static bool
open_log(struct opening *o)
{
	const char *file = o->common->maillog_file;
	int         fd;

	if (*file == '\0' && (fd = journal_syslog_socket()) >= 0) {
		(void)estate_hold(o, "log", "syslog", fd, ANYONE);
		return true;
	}
	if (*file == '\0' || strcmp(file, "stderr") == 0 || strcmp(file, "/dev/stderr") == 0) {
		if (*file == '\0')
			warn_("there is no syslog (%s): the log goes to the standard error",
			      strerror(errno));
		(void)estate_hold(o, "log", "stderr", fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0),
		                  ANYONE);
		return true;
	}
	if ((fd = open(file, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0640)) < 0) {
		buffer_printf(o->errors, "maillog_file = %s: %s\n", file, strerror(errno));
		return false;
	}
	(void)estate_hold(o, "log", "file", fd, ANYONE);
	return true;
}

static unsigned
role_of_listener(enum listener_service which)
{
	return which >= LISTEN_IMAP ? FROM(LOGIN) : FROM(RECEIVER);
}

/* A socket for an address.  Where IPv6 is not to be had the other addresses do. */
bool
estate_open_listener(struct opening *o, const char *name, const char *address, unsigned roles,
                     bool may_fail)
{
	struct buffer why = { 0 };
	int           fd;

	if (strncmp(address, "unix:", 5) == 0)
		return estate_open_socket(o, name, address, roles);
	if (estate_take_over(o, name, address, roles) != NULL ||
	    estate_take_address(o, name, address, roles) != NULL)
		return true;
	if ((fd = listener_bind(address, 0, may_fail ? &why : o->errors)) >= 0)
		(void)estate_hold(o, name, address, fd, roles);
	else if (may_fail)
		warn_("%.*s: nobody is listened to there", (int)bytes_trim(buffer_bytes(&why)).len,
		      why.at);
	buffer_free(&why);
	return fd >= 0 || may_fail;
}

/* inet_interfaces say where, for services whose own setting does not. */
static bool
open_interfaces(struct opening *o, const char *name, enum listener_service which)
{
	const char   *standard = o->common->listen[which].item[0];
	unsigned      port = (unsigned)strtoul(strrchr(standard, ':') + 1, NULL, 10);
	struct buffer places = { 0 };
	struct bytes  rest, place;
	char          address[128];
	bool          good = interfaces_places(o->common, port, &places, o->errors), some = false;

	rest = buffer_bytes(&places);
	while (good && bytes_split(&rest, ' ', &place)) {
		if (place.len == 0 || !bytes_string(place, address, sizeof address))
			continue;
		good = estate_open_listener(o, name, address, role_of_listener(which),
		                            address[0] == '[' && some);
		some = true;
	}
	buffer_free(&places);
	return good;
}

/* Mail comes in where inet_interfaces are; people read it where listen_imap and its kin say. */
static bool
follows_interfaces(const struct opening *o, enum listener_service which)
{
	char setting[32];

	(void)snprintf(setting, sizeof setting, "listen_%s", listener_names[which]);
	return which <= LISTEN_SUBMISSIONS && o->common->listen[which].count == 1 &&
	       !house_is_set(o->settings, setting);
}

/* Those that `listeners` names. */
static bool
open_named(struct opening *o)
{
	struct listeners all;

	listeners_read(o->settings, &all);
	for (size_t i = LISTEN_SERVICES; i < all.count; i++) {
		struct setting_list where = { NULL, 0 };
		char                name[32];

		(void)snprintf(name, sizeof name, "listener/%.15s", all.one[i].name);
		if (!house_speaks(o->common, all.one[i].service) ||
		    !listener_addresses(o->settings, all.one[i].name, &where))
			continue;
		for (size_t a = 0; a < where.count; a++)
			if (!estate_open_listener(o, name, where.item[a],
			                          role_of_listener(all.one[i].service), false))
				return false;
	}
	return true;
}

/* Where sendmail hands letters in: whoever listens is told by the kernel which user that is. */
static bool
open_pickup(struct opening *o)
{
	struct listeners all;
	char             address[PATH_ROOM];

	listeners_read(o->settings, &all);
	if (all.one[listener_place(&all, BYTES("pickup"))].service != LISTEN_SMTP)
		return true;
	(void)snprintf(address, sizeof address, "unix:%s/run/pickup.sock",
	               o->common->mail_directory);
	return estate_open_socket(o, "listener/pickup", address, FROM(RECEIVER));
}

static bool
open_listeners(struct opening *o)
{
	for (size_t i = 0; i < LISTEN_SERVICES; i++) {
		if (!house_speaks(o->common, (enum listener_service)i))
			continue;
		char     name[32];
		unsigned roles = role_of_listener((enum listener_service)i);
		(void)snprintf(name, sizeof name, "listener/%s", listener_names[i]);
		if (follows_interfaces(o, (enum listener_service)i)) {
			if (!open_interfaces(o, name, (enum listener_service)i))
				return false;
			continue;
		}
		for (size_t a = 0; a < o->common->listen[i].count; a++)
			if (!estate_open_listener(o, name, o->common->listen[i].item[a], roles,
			                          false))
				return false;
	}
	return open_named(o) && open_pickup(o) && estate_open_guide(o) && estate_open_acme(o);
}

static bool
open_control(struct opening *o, enum role role, uint32_t index)
{
	char            name[64], address[PATH_ROOM];
	struct holding *h;
	int             fd;

	(void)snprintf(name, sizeof name, "control/%s", role_names[role]);
	if (index == 0)
		(void)snprintf(address, sizeof address, "unix:%s/run/%s.sock",
		               o->common->mail_directory, role_names[role]);
	else
		(void)snprintf(address, sizeof address, "unix:%s/run/%s-%u.sock",
		               o->common->mail_directory, role_names[role], index);
	if ((h = estate_take_over(o, name, address, FROM(role))) == NULL) {
		/* Of the queue users may ask something (role/askers.h); it looks who they are. */
		if ((fd = listener_bind(address, role == QUEUE ? 0666 : 0600, o->errors)) < 0)
			return false;
		h = estate_hold(o, name, address, fd, FROM(role));
	}
	h->index = index;
	return true;
}

static bool
open_controls(struct opening *o, uint32_t keepers)
{
	if (!open_control(o, POSTMASTER, 0) || !open_control(o, CLERK, 0) ||
	    !open_control(o, QUEUE, 0) || !open_control(o, POLICY, 0) ||
	    !open_control(o, CHRONICLE, 0))
		return false;
	for (uint32_t i = 0; i < keepers; i++)
		if (!open_control(o, KEEPER, i))
			return false;
	return true;
}

bool
estate_read(const char *path, struct buffer *out)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), why;

	if (fd < 0)
		return false;
	why = file_read(fd, FILE_MOST, out);
	(void)close(fd);
	errno = why;
	return why == 0;
}

/* Who owns which account must be the same to all, so it does not change while the house lives. */
static void
hold_sharing(struct opening *o)
{
	(void)estate_hold(o, "sharing", o->common->mailbox_sharing ? "yes" : "no", -1,
	                  FROM(QUEUE) | FROM(LOGIN) | FROM(KEEPER) | FROM(CLERK));
}

/* A file that is given as text. */
static bool
hold_text(struct opening *o, const char *setting, const char *path, const char *name,
          unsigned roles)
{
	struct buffer text = { 0 };
	bool          good = *path == '\0' || estate_read(path, &text);

	if (!good)
		buffer_printf(o->errors, "%s = %s: %s\n", setting, path, strerror(errno));
	buffer_add_char(&text, '\0');
	if (good && *path != '\0')
		(void)estate_hold(o, name, text.at, -1, roles);
	buffer_free(&text);
	return good;
}

/* What ways to log in need. */
static bool
open_login_files(struct opening *o)
{
	struct sasl_settings set;
	int                  fd;

	if (!settings_fill(o->settings, &sasl_setting_table, NULL, &set, o->errors) ||
	    !hold_text(o, "oauth_jwks_file", set.jwks_file, "oauth-jwks", FROM(CLERK)))
		return false;
	if (*set.keytab == '\0')
		return true;
	if ((fd = open(set.keytab, O_RDONLY | O_CLOEXEC)) < 0) {
		buffer_printf(o->errors, "auth_krb5_keytab = %s: %s\n", set.keytab,
		              strerror(errno));
		return false;
	}
	(void)estate_hold(o, "krb5-keytab", set.keytab, fd, FROM(CLERK));
	return true;
}

/* Whose commands the pipes are: the queue sees no tables of the system. */
static void
hold_pipes(struct opening *o)
{
	struct buffer lines = { 0 };

	transports_users(o->settings, &lines);
	buffer_add_char(&lines, '\0');
	(void)estate_hold(o, "pipes", lines.at, -1, FROM(QUEUE));
	buffer_free(&lines);
}

/* Who may ask the queue, and send letters. */
static void
hold_askers(struct opening *o)
{
	struct buffer lines = { 0 };

	askers_lines(o->settings, &lines);
	buffer_add_char(&lines, '\0');
	(void)estate_hold(o, "askers", lines.at, -1, FROM(QUEUE) | FROM(RECEIVER));
	buffer_free(&lines);
}

/*
 * Files of tables
 */

/* Which file it is and as of when. */
char *
estate_stamp(const struct stat *st)
{
	char text[128];

	(void)snprintf(text, sizeof text, "%lx:%lx:%lld:%lld.%09ld", (unsigned long)st->st_dev,
	               (unsigned long)st->st_ino, (long long)st->st_size,
	               (long long)st->st_mtim.tv_sec, st->st_mtim.tv_nsec);
	return string_copy(text);
}

/* What a database asks of main.cf: the same lines are the same file. */
static int
open_parameters(struct settings *s, const char *name, char **stamp)
{
	struct buffer text = { 0 };
	char          words[32];

	*stamp = NULL;
	if (tables_parameters(s, name, &text)) {
		(void)snprintf(words, sizeof words, "main.cf:%zu:%08x", text.len,
		               (unsigned)checksum_of(buffer_bytes(&text)));
		*stamp = string_copy(words);
		explicit_bzero(text.at, text.len);
	}
	buffer_free(&text);
	return tables_open_parameters(s, name);
}

/* -1 with errno; what is no file is none. */
static int
open_table(const char *path, char **stamp)
{
	struct stat st;
	int         fd = *path == ':' ? tables_open_included(path)
	                              : open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);

	*stamp = NULL;
	if (fd < 0)
		return -1;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode)) {
		*stamp = estate_stamp(&st);
		return fd;
	}
	(void)close(fd);
	errno = EINVAL;
	return -1;
}

static const struct holding *
held_table(const struct estate *e, const char *name)
{
	return e == NULL ? NULL : estate_find(e, name);
}

/* A file of passwords for other hosts that everybody on this machine may read. */
static void
warn_of_readers(const struct settings *s, const char *path)
{
	struct setting_entry e;
	struct stat          st;

	path = tables_included_path(path);
	if (*path != '/' || stat(path, &st) < 0 || (st.st_mode & S_IROTH) == 0)
		return;
	for (size_t i = 0; settings_entry(s, i, &e); i++)
		if (bytes_ends_nocase(bytes_of(e.name), BYTES("_sasl_password_maps")) &&
		    strstr(e.value, path) != NULL) {
			warn_("%s: %s has passwords, and everybody here may read it: chmod 600 %s",
			      e.name, path, path);
			return;
		}
}

/* Why a file could not be opened, and for whom. */
static void
warn_of_none(const char *name, const char *more)
{
	const char *path = *name == ':' ? tables_included_path(name) : name, *why = strerror(errno);
	uint32_t    uid = tables_included_for(name);

	if (uid != 0)
		warn_("table %s: %s, for user %u, whose alias file includes it%s", path, why,
		      (unsigned)uid, more);
	else
		warn_("table %s: %s%s", path, why, more);
}

static void
hold_table(void *ctx, const char *path, bool remote)
{
	struct opening       *o = ctx;
	unsigned              roles = tables_roles(o->settings, path);
	char                  name[PATH_ROOM + 24], *stamp;
	const struct holding *old;
	struct holding       *known;
	int                   fd;

	if (tables_secret(o->settings, path))
		roles = FROM(CLERK);
	else if (roles != FROM(SENDER)) /* secrets are for nobody else */
		roles |= remote ? TABLE_ROLES_REMOTE : TABLE_ROLES;
	(void)snprintf(name, sizeof name, "table/%s", path);
	for (known = o->estate->first; known != NULL; known = known->next)
		if (strcmp(known->name, name) == 0) {
			known->roles |= roles;
			return;
		}
	old = held_table(o->before, name);
	fd = *path == '/' || *path == ':' ? open_table(path, &stamp)
	                                  : open_parameters(o->settings, path, &stamp);
	if (fd < 0 && !tables_spares(o->settings, path))
		warn_of_none(path, old == NULL ? "" : "; it stays as it was");
	if (old != NULL && (fd < 0 || strcmp(old->text, stamp) == 0)) {
		if (fd >= 0)
			(void)close(fd);
		(void)estate_take_over(o, name, old->text, roles);
	} else if (fd >= 0) {
		warn_of_readers(o->settings, path);
		(void)estate_hold(o, name, stamp, fd, roles);
	}
	memory_free(stamp);
}

/* A holding for a file that has come since. */
static void
hold_new_table(void *ctx, const char *path, bool remote)
{
	struct opening *o = ctx;
	char            name[PATH_ROOM + 24];

	(void)snprintf(name, sizeof name, "table/%s", path);
	if (estate_find(o->estate, name) == NULL && access(tables_included_path(path), F_OK) == 0)
		hold_table(ctx, path, remote);
}

/* True: it is another now. */
static bool
renew_table(struct holding *h)
{
	const char *path = h->name + strlen("table/");
	char       *stamp;
	int         fd;

	if (*path != '/' && *path != ':')
		return false; /* lines of main.cf */
	fd = open_table(path, &stamp);
	if (fd < 0 && !h->gone)
		warn_of_none(path, "; it stays as it was");
	h->gone = fd < 0;
	if (fd < 0 || strcmp(stamp, h->text) == 0) {
		if (fd >= 0)
			(void)close(fd);
		memory_free(stamp);
		return false;
	}
	(void)close(h->fd);
	memory_free(h->text);
	h->fd = fd;
	h->text = stamp;
	return true;
}

size_t
estate_renew_tables(struct estate *e, struct settings                  *settings,
                    void (*tell)(void *, const struct holding *), void *ctx)
{
	struct opening  o = { .estate = e, .settings = settings };
	struct holding *last = e->first;
	size_t          count = 0;

	while (last->next != NULL)
		last = last->next;
	tables_files(settings, hold_new_table, &o);
	for (struct holding *h = last->next; h != NULL; h = h->next, count++)
		tell(ctx, h);
	for (struct holding *h = e->first; h != last->next; h = h->next) {
		if (strncmp(h->name, "table/", 6) != 0 || !renew_table(h))
			continue;
		count++;
		tell(ctx, h);
	}
	return count;
}

const struct holding *
estate_debug(struct estate *e, const char *text)
{
	struct opening  o = { .estate = e };
	struct holding *h = e->first;

	while (h != NULL && strcmp(h->name, "debug") != 0)
		h = h->next;
	if (h == NULL)
		return estate_hold(&o, "debug", text, -1,
		                   FROM(RECEIVER) | FROM(LOGIN) | FROM(KEEPER));
	memory_free(h->text);
	h->text = string_copy(text);
	return h;
}

static void
let_go(struct holding *h)
{
	if (!h->borrowed && h->fd >= 0)
		(void)close(h->fd);
	if (!h->borrowed && !h->keeps_path && strncmp(h->text, "unix:", 5) == 0)
		(void)unlink(h->text + 5);
	memory_free(h->name);
	memory_free(h->text);
	memory_free(h);
}

void
estate_close(struct estate **ep)
{
	struct estate  *e = *ep;
	struct holding *h;

	*ep = NULL;
	if (e == NULL)
		return;
	while ((h = e->first) != NULL) {
		e->first = h->next;
		let_go(h);
	}
	memory_free(e);
}

/*
 * Letters of other people will be in it: nobody else may have made it, read it or have another name for it, and what is
 * no file (a pipe without a reader) is not waited for.
 */
static int
open_transcripts(const char *path, const char **why)
{
	int fd =
		open(path,
	             O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NOFOLLOW | O_NONBLOCK,
	             0600);
	struct stat st;

	*why = NULL;
	if (fd < 0 || fstat(fd, &st) < 0)
		*why = strerror(errno);
	else if (!S_ISREG(st.st_mode))
		*why = "it is no file";
	else if (st.st_uid != geteuid() || st.st_nlink != 1)
		*why = "somebody else has it, or it has another name besides";
	else if ((st.st_mode & 077) != 0 && fchmod(fd, 0600) < 0)
		*why = strerror(errno);
	if (*why == NULL)
		return fd;
	if (fd >= 0)
		(void)close(fd);
	return -1;
}

/* What is switched on outlives a reload; the file for it is opened anew. */
static void
keep_debug(struct opening *o)
{
	static const unsigned who = FROM(RECEIVER) | FROM(LOGIN) | FROM(KEEPER);
	const char           *file = settings_value(o->settings, "debug_peer_file");
	const struct holding *old = o->before == NULL ? NULL : estate_find(o->before, "debug");
	const char           *why;
	int                   fd;

	if (old != NULL)
		(void)estate_take_over(o, "debug", old->text, old->roles);
	if (*file == '\0')
		return;
	fd = open_transcripts(file, &why);
	if (fd < 0)
		warn_("debug_peer_file = %s: %s; transcripts go to the log", file, why);
	else
		(void)estate_hold(o, "transcripts", "", fd, who);
}

struct estate *
estate_open(const struct common_settings *common, struct settings *settings, int lock,
            uint32_t keepers, const struct estate *before, struct buffer *errors)
{
	struct opening o = { memory_take(sizeof *o.estate), common, settings, before, errors };
	bool           good = open_log(&o);

	if (estate_take_over(&o, "lock", "", ANYONE) == NULL)
		(void)estate_hold(&o, "lock", "", lock, ANYONE);
	if (!good || !open_listeners(&o) || !estate_open_auth_sockets(&o) ||
	    !open_controls(&o, keepers) || !estate_open_tls(&o) || !open_login_files(&o) ||
	    !estate_open_tally(&o))
		estate_close(&o.estate);
	else {
		estate_open_names(&o);
		keep_debug(&o);
		hold_pipes(&o);
		hold_askers(&o);
		hold_sharing(&o);
		tables_files(settings, hold_table, &o);
	}
	return o.estate;
}

const struct holding *
estate_same(const struct estate *e, const struct holding *h)
{
	const struct holding *found = find(e, h->name, h->text);

	return found != NULL && found->fd == h->fd ? found : NULL;
}

const struct holding *
estate_find(const struct estate *e, const char *name)
{
	for (const struct holding *h = e->first; h != NULL; h = h->next)
		if (strcmp(h->name, name) == 0)
			return h;
	return NULL;
}

void
estate_replace(struct estate **old, struct estate *new)
{
	for (struct holding *h = (*old)->first; h != NULL; h = h->next) {
		h->borrowed = estate_same(new, h) != NULL;
		for (const struct holding *n = new->first; n != NULL; n = n->next)
			h->keeps_path = h->keeps_path || strcmp(h->text, n->text) == 0;
	}
	for (struct holding *h = new->first; h != NULL; h = h->next)
		h->borrowed = false;
	estate_close(old);
	*old = new;
}

#include "role/confine.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <linux/capability.h>
#include <pwd.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/journal.h"
#include "dns/resolver.h"
#include "role/landlock.h"
#include "role/syscalls.h"
#include "store/location.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define WATCHED true
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || \
	__has_feature(memory_sanitizer)
#define WATCHED true
#endif
#endif
#ifndef WATCHED
#define WATCHED false
#endif

#define MIB ((rlim_t)1 << 20)
enum { PLACES_MOST = 3, OUTSIDE_MOST = 64, FEW = 1024, MANY = 65536, DNS_PORT = 53 };

/* Each line is a role: its account, the calls it has, the memory and the
   descriptors it may take, and all it may touch under the mail directory. */
/* clang-format off */
static const struct cage {
	const char *account;
	unsigned    calls;
	bool        secret;           /* nobody may look inside                     */
	bool        root;             /* stays who the postmaster is, for what it calls needs that: no view, no filter of calls */
	rlim_t      memory, files;
	struct landlock_place place[PLACES_MOST];
} cages[ROLES] = {
	[RECEIVER] = { "receiver", SYSCALLS_LIVE | SYSCALLS_ACCEPT | SYSCALLS_PAIR | SYSCALLS_WRITE, false, false, 1024 * MIB, MANY, { { NULL, false } } },
	[LOGIN]    = { "login",    SYSCALLS_LIVE | SYSCALLS_ACCEPT | SYSCALLS_PAIR,  false, false, 1024 * MIB, MANY, { { NULL, false } } },
	[VERIFIER] = { "verify",   SYSCALLS_LIVE | SYSCALLS_PATIENCE,                false, false,  512 * MIB, FEW,  { { NULL, false } } },
	[QUEUE]    = { "queue",    SYSCALLS_LIVE | SYSCALLS_ACCEPT | SYSCALLS_FILES, false, false, 2048 * MIB, MANY, { { "spool", true } } },
	[KEEPER]   = { "keeper",   SYSCALLS_LIVE | SYSCALLS_ACCEPT | SYSCALLS_FILES, false, false, 4096 * MIB, MANY, { { "store", true }, { "spool/letters", false } } },
	[CLERK]    = { "clerk",    SYSCALLS_LIVE | SYSCALLS_ACCEPT | SYSCALLS_FILES, false, false, 2048 * MIB, MANY, { { "directory", true } } },
	[PAM]      = { "pam",      0,                                                true,  true,   512 * MIB, FEW,  { { NULL, false } } },
	[PROXYMAP] = { "proxymap", SYSCALLS_LIVE | SYSCALLS_LOOK | SYSCALLS_ASK | SYSCALLS_CLIENT, false, false, 1024 * MIB, FEW,  { { NULL, false } } },
	[POLICY]   = { "policy",   SYSCALLS_LIVE | SYSCALLS_ACCEPT | SYSCALLS_FILES, false, false, 1024 * MIB, MANY, { { "policy", true } } },
	[SENDER]   = { "sender",   SYSCALLS_LIVE | SYSCALLS_ASK | SYSCALLS_LOCAL,    true, false,  1024 * MIB, MANY, { { NULL, false } } },
	[CHRONICLE] = { "chronicle", SYSCALLS_LIVE | SYSCALLS_ACCEPT | SYSCALLS_FILES, false, false, 1024 * MIB, FEW, { { "events", true } } },
	[CERTIFIER] = { "certifier", SYSCALLS_LIVE | SYSCALLS_ACCEPT | SYSCALLS_FILES | SYSCALLS_LOOK | SYSCALLS_ASK | SYSCALLS_CLIENT, true, false, 1024 * MIB, FEW, { { "certificates", true } } },
	[GUIDE]    = { "guide",    SYSCALLS_LIVE | SYSCALLS_ACCEPT, false, false,  512 * MIB, MANY, { { NULL, false } } },
	[SIGNER]   = { "signer",   SYSCALLS_LIVE | SYSCALLS_SECRETS,                 true, false,   256 * MIB, FEW,  { { NULL, false } } },
};
/* clang-format on */

/* What a role has of the disk besides: a keeper where mail_location may lead, to write; role proxymap
   what its libraries and the .cf files of its tables name, to read. */
struct outside {
	char   path[OUTSIDE_MOST][1024];
	size_t count;
	bool   to_read;
};

/* Where role proxymap or policy goes besides. */
static const struct reach *leads;

/* Whose libraries look at what is set for the machine. */
static bool
has_libraries(enum role role)
{
	return role == PROXYMAP || role == CERTIFIER;
}

static bool
leads_out(enum role role)
{
	return role == PROXYMAP || role == SENDER || role == CERTIFIER ||
	       (leads != NULL && (leads->ports > 0 || leads->paths.len > 0));
}

void
confine_lead(const struct reach *r)
{
	leads = r;
}

/* SQLite asks it for chance when it makes its first file. */
static const char *const chance = "/dev/urandom";

void
role_account_name(enum role role, const struct common_settings *common, char out[static 64])
{
	(void)snprintf(out, 64, "%s-%s", common->mail_owner, cages[role].account);
}

struct role_account
role_account(enum role role, const struct common_settings *common)
{
	char           name[64];
	struct passwd *entry;
	uid_t          number = (uid_t)(common->role_account_base + (int)role);

	role_account_name(role, common, name);
	entry = getpwnam(name);
	return entry != NULL ? (struct role_account){ entry->pw_uid, entry->pw_gid }
	                     : (struct role_account){ number, number };
}

/*
 * Limits
 */

static void
limit(int what, rlim_t most)
{
	struct rlimit now;

	if (getrlimit((__rlimit_resource_t)what, &now) < 0)
		return;
	if (geteuid() != 0 && now.rlim_max < most)
		most = now.rlim_max;
	now.rlim_cur = now.rlim_max = most;
	(void)setrlimit((__rlimit_resource_t)what, &now);
}

static void
limits(const struct cage *c)
{
	limit(RLIMIT_CORE, 0);
	limit(RLIMIT_NOFILE, c->files);
	if (!WATCHED)
		limit(RLIMIT_AS, c->memory);
}

/*
 * The view: a small empty file system with our places in it, and no way out
 */

/* "spool/letters" under the new root, its parents too. */
static int
make_parents(const char *path)
{
	char   part[256];
	size_t n = 0;

	for (const char *c = path; *c != '\0' && n < sizeof part - 1; c++) {
		if (*c == '/') {
			part[n] = '\0';
			if (mkdir(part, 0755) < 0 && errno != EEXIST)
				return -1;
		}
		part[n++] = *c;
	}
	return 0;
}

static void
add_outside(struct outside *o, struct bytes path)
{
	if (path.len < 2 || path.at[0] != '/' || o->count == OUTSIDE_MOST)
		return;
	for (size_t i = 0; i < o->count; i++)
		if (bytes_equal(bytes_of(o->path[i]), path))
			return;
	if (bytes_string(path, o->path[o->count], sizeof o->path[0]))
		o->count++;
}

/* A directory that is there; none is made. */
static void
add_there(struct outside *o, const char *path)
{
	struct stat st;

	if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
		add_outside(o, bytes_of(path));
}

/* What a name of forward_path begins with, up to where it is another for each user. */
static struct bytes
forward_directory(const char *form)
{
	struct bytes begin = bytes_cut(bytes_of(form), 0, strcspn(form, "$"));

	return bytes_cut(begin, 0, (size_t)(bytes_find_last(begin, '/') + 1));
}

static void
find_forwards(const struct common_settings *common, struct outside *o)
{
	char path[PATH_MAX];

	for (size_t i = 0; i < common->forward_path.count; i++) {
		struct bytes at = forward_directory(common->forward_path.item[i]);

		if (at.len > 1 && bytes_string(bytes_cut(at, 0, at.len - 1), path, sizeof path))
			add_there(o, path);
	}
}

/* A user's keeper: what is there of these. */
static void
find_outside_of_user(const struct system_user *user, const struct common_settings *common,
                     struct outside *o)
{
	o->count = 0;
	if (user->uid < (uint64_t)common->first_valid_uid)
		return; /* there for pipes alone, and has no mailbox */
	add_there(o, user->home);
	add_there(o, common->mail_spool_directory);
	find_forwards(common, o);
}

/* Settings, certificates and plug-ins of the libraries, the sockets of servers on this machine: their
   directories come and go, so it is what these are in that is seen. */
static const char *const libraries_read[] = {
	"/etc",
	"/lib",
	"/lib64",
	"/usr/lib",
	"/usr/share/ca-certificates",
	"/usr/local/share/ca-certificates",
	"/run",
	"/var/run",
	"/var/lib/sss",
};

static bool
is_covered(const struct outside *o, struct bytes path)
{
	for (size_t i = 0; i < o->count; i++) {
		struct bytes p = bytes_of(o->path[i]);
		if (bytes_starts(path, p) && (path.len == p.len || path.at[p.len] == '/'))
			return true;
	}
	return false;
}

/* The directory of a file; what is not there yet comes in something that is. */
static void
add_read(struct outside *o, struct bytes path)
{
	char        name[1024];
	struct stat st;

	while (path.len > 1 && bytes_string(path, name, sizeof name) &&
	       (stat(name, &st) < 0 || !S_ISDIR(st.st_mode)))
		path = bytes_cut(path, 0, (size_t)bytes_find_last(path, '/'));
	if (path.len > 1 && !is_covered(o, path))
		add_outside(o, path);
}

static void
find_read(enum role role, struct outside *o)
{
	struct bytes rest, one;

	for (size_t i = 0; has_libraries(role) && i < COUNT(libraries_read); i++)
		if (access(libraries_read[i], F_OK) == 0)
			add_outside(o, bytes_of(libraries_read[i]));
	if (leads == NULL)
		return;
	for (rest = buffer_bytes(&leads->paths); bytes_split(&rest, '\0', &one);)
		add_read(o, one);
}

static void
find_outside(enum role role, const struct common_settings *common, struct outside *o)
{
	struct buffer path = { 0 };

	o->count = 0;
	o->to_read =
		has_libraries(role) || role == SENDER || (leads != NULL && leads->paths.len > 0);
	if (o->to_read)
		find_read(role, o);
	for (size_t i = 0; role == SENDER && i < common->socket_directories.count; i++)
		if (access(common->socket_directories.item[i], F_OK) == 0)
			add_outside(o, bytes_of(common->socket_directories.item[i]));
	if (role != KEEPER)
		return;
	for (unsigned i = 0; common->mail_location != NULL &&
	                     location_prefix(common->mail_location, common->mail_home, i, &path);
	     i++) {
		add_outside(o, buffer_bytes(&path));
		buffer_reset(&path);
	}
	for (size_t i = 0; i < common->mail_location_directories.count; i++)
		add_outside(o, bytes_of(common->mail_location_directories.item[i]));
	if (common->virtual_mailbox_base != NULL && *common->virtual_mailbox_base != '\0')
		add_outside(o, bytes_of(common->virtual_mailbox_base));
	buffer_free(&path);
}

static void
view_of(const struct outside *o, struct buffer *out)
{
	for (size_t i = 0; i < o->count; i++) {
		buffer_add_string(out, o->path[i]);
		buffer_add_char(out, '\0');
	}
}

void
confine_view(const struct common_settings *common, struct buffer *out)
{
	struct outside o;

	find_outside(KEEPER, common, &o);
	view_of(&o, out);
}

void
confine_users_view(const struct common_settings *common, struct buffer *out)
{
	struct outside o = { .count = 0 };

	add_there(&o, common->mail_spool_directory);
	find_forwards(common, &o);
	view_of(&o, out);
}

const char *
confine_unseen(const struct buffer *now, const struct buffer *then)
{
	struct bytes rest = buffer_bytes(now), one, seen, other;

	while (bytes_split(&rest, '\0', &one)) {
		bool is = one.len == 0;
		for (seen = buffer_bytes(then); !is && bytes_split(&seen, '\0', &other);)
			is = other.len > 0 && path_is_within(one, other);
		if (!is)
			return one.at;
	}
	return NULL;
}

/* A directory that is not there is made, and then it is the keeper's. */
static void
make_outside(const struct outside *o, struct role_account a)
{
	for (size_t i = 0; i < o->count; i++) {
		char part[1024];
		int  fd = -1;
		for (size_t n = 1; n <= strlen(o->path[i]); n++) {
			if (o->path[i][n] != '/' && o->path[i][n] != '\0')
				continue;
			memcpy(part, o->path[i], n);
			part[n] = '\0';
			if (fd >= 0)
				(void)close(fd);
			fd = -1;
			if (mkdir(part, 0755) == 0)
				fd = open(part, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		}
		if (fd < 0)
			continue;
		if (fchown(fd, a.uid, a.gid) < 0 || fchmod(fd, 0700) < 0)
			detail("%s: %s", o->path[i], strerror(errno));
		(void)close(fd);
	}
}

static int
bind_place(const char *from, const char *to, unsigned long flags)
{
	if (mount(from, to, NULL, MS_BIND, NULL) < 0)
		return -1;
	return mount(NULL, to, NULL, MS_BIND | MS_REMOUNT | MS_NOSUID | flags, NULL);
}

/* Under the same name as outside, so that links and settings mean the same. */
static int
furnish_outside(const struct outside *o)
{
	for (size_t i = 0; i < o->count; i++) {
		const char *path = o->path[i] + 1;
		if (make_parents(path) < 0 || (mkdir(path, 0755) < 0 && errno != EEXIST) ||
		    bind_place(o->path[i], path,
		               o->to_read ? MS_NODEV | MS_RDONLY : MS_NODEV | MS_NOEXEC) < 0)
			return -1;
	}
	return 0;
}

/* We stand in the new root. */
static int
furnish(const struct cage *c, const struct outside *o, const char *directory)
{
	char from[4096];
	int  fd;

	for (size_t i = 0; i < PLACES_MOST && c->place[i].path != NULL; i++) {
		const char *path = c->place[i].path;
		if ((size_t)snprintf(from, sizeof from, "%s/%s", directory, path) >= sizeof from)
			return errno = ENAMETOOLONG, -1;
		if (make_parents(path) < 0 || mkdir(path, 0755) < 0 ||
		    bind_place(from, path,
		               MS_NODEV | MS_NOEXEC | (c->place[i].write ? 0 : MS_RDONLY)) < 0)
			return -1;
	}
	if (furnish_outside(o) < 0)
		return -1;
	if (c->place[0].path == NULL && !o->to_read)
		return 0;
	if (mkdir("dev", 0755) < 0 ||
	    (fd = open("dev/urandom", O_CREAT | O_WRONLY | O_CLOEXEC, 0644)) < 0)
		return -1;
	(void)close(fd);
	return bind_place(chance, "dev/urandom", MS_RDONLY | MS_NOEXEC);
}

static int
change_root(void)
{
	if (syscall(SYS_pivot_root, ".", ".") == 0)
		return umount2(".", MNT_DETACH);
	return chroot(".");
}

/* The place for the new root is covered by it; only we see that. */
static int
view_enter(const struct cage *c, const struct outside *o, const char *directory)
{
	char on[4096];

	if ((size_t)snprintf(on, sizeof on, "%s/run", directory) >= sizeof on)
		return errno = ENAMETOOLONG, -1;
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("none", on, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "size=64k,mode=0755") <
	            0 ||
	    chdir(on) < 0 || furnish(c, o, directory) < 0 ||
	    mount(NULL, ".", NULL,
	          MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0)
		return -1;
	return change_root() < 0 ? -1 : chdir("/");
}

/* Where there are no mount namespaces, a role without places of its own still
   gets an empty root. */
static int
empty_root(const char *directory)
{
	char path[4096];

	if ((size_t)snprintf(path, sizeof path, "%s/empty", directory) >= sizeof path)
		return errno = ENAMETOOLONG, -1;
	return chroot(path) < 0 ? -1 : chdir("/");
}

uint16_t
confine_asks(enum role role, const struct common_settings *common)
{
	struct server s = { .port = DNS_PORT };

	if ((role != VERIFIER && role != POLICY) || strcmp(common->dns_resolver, "none") == 0)
		return 0;
	(void)server_parse(bytes_of(common->dns_resolver), &s);
	return s.port;
}

static void
view(const struct cage *c, const struct outside *o, bool asks, const char *directory,
     const char **root, struct buffer *words)
{
	static const struct {
		int         kind;
		const char *name;
	} spaces[] = { { CLONE_NEWNET, "network" },
		       { CLONE_NEWIPC, "ipc" },
		       { CLONE_NEWUTS, "uts" } };

	if (asks)
		buffer_add_string(words, " asks-names");
	for (size_t i = 0; i < COUNT(spaces); i++)
		if ((spaces[i].kind != CLONE_NEWNET || !asks) && unshare(spaces[i].kind) < 0)
			buffer_printf(words, " no-own-%s(%s)", spaces[i].name, strerror(errno));
	if (view_enter(c, o, directory) == 0) {
		*root = "";
		buffer_add_string(words, " view");
		return;
	}
	buffer_printf(words, " no-view(%s)", strerror(errno));
	if (c->place[0].path == NULL && !o->to_read && empty_root(directory) == 0) {
		*root = "";
		buffer_add_string(words, " chroot");
	}
}

/*
 * Who we are
 */

static void
drop_capabilities(void)
{
	for (int cap = 0; prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) == 0; cap++)
		continue;
	(void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
}

/* `other` is a group it may have instead, later; else its own once more. */
static bool
become(struct role_account a, gid_t other, const gid_t *group, size_t groups, struct buffer *errors)
{
	uid_t u[3];
	gid_t g[3];

	drop_capabilities();
	if (setgroups(groups, group) < 0 || setresgid(a.gid, a.gid, other) < 0 ||
	    setresuid(a.uid, a.uid, a.uid) < 0) {
		buffer_printf(errors, "cannot become uid %u, gid %u: %s", a.uid, a.gid,
		              strerror(errno));
		return false;
	}
	if (getresuid(&u[0], &u[1], &u[2]) < 0 || getresgid(&g[0], &g[1], &g[2]) < 0 ||
	    u[0] != a.uid || u[1] != a.uid || u[2] != a.uid || g[0] != a.gid || g[1] != a.gid ||
	    g[2] != other || setresuid(0, 0, 0) == 0) {
		buffer_printf(errors, "could become root again after becoming uid %u", a.uid);
		return false;
	}
	return true;
}

static bool
lock_places(const struct cage *c, const struct outside *o, const struct landlock_ports *ports,
            const char *root, struct buffer *words, struct buffer *errors)
{
	struct landlock_place place[PLACES_MOST + OUTSIDE_MOST + 1];
	char                  path[PLACES_MOST][4096];
	size_t                n = 0;
	int                   version;

	for (; n < PLACES_MOST && c->place[n].path != NULL; n++) {
		(void)snprintf(path[n], sizeof path[n], "%s/%s", root, c->place[n].path);
		if (access(path[n], R_OK | X_OK) < 0) {
			buffer_printf(errors,
			              "%s cannot be reached by uid %u: %s; the directories above "
			              "it must let others pass (chmod o+x)",
			              path[n], geteuid(), strerror(errno));
			return false;
		}
		place[n] = (struct landlock_place){ path[n], c->place[n].write };
	}
	for (size_t i = 0; i < o->count; i++) {
		if (o->to_read) {
			if (access(o->path[i], X_OK) == 0)
				place[n++] = (struct landlock_place){ o->path[i], false };
			continue;
		}
		/* Of mailboxes whose owner is somebody else (role/owner.h); who would need it is told of the place that fails.  It may be
		   given to us later: the cage is not what keeps us out. */
		if (access(o->path[i], F_OK) < 0 && errno == EACCES)
			continue;
		if (access(o->path[i], F_OK) < 0) {
			buffer_printf(
				errors,
				"mail_location leads to %s, which cannot be reached by uid %u: %s",
				o->path[i], geteuid(), strerror(errno));
			return false;
		}
		place[n++] = (struct landlock_place){ o->path[i], true };
	}
	if (n > 0 && access(chance, R_OK) == 0)
		place[n++] = (struct landlock_place){ chance, false };
	version = landlock_close(place, n, ports);
	if (version > 0)
		buffer_printf(words, " landlock:%d", version);
	else if (version == 0)
		buffer_add_string(words, " no-landlock(not to be had here)");
	else
		buffer_printf(errors, "landlock: %s", strerror(errno));
	return version >= 0;
}

/* The index of a user's mailboxes: users/UID, the user's own and nobody else's; that of an owner is there. */
static bool
make_users_place(const struct system_user *user, const struct common_settings *common,
                 const char *under, struct buffer *errors)
{
	char        path[4096];
	struct stat st;
	int         fd;
	bool        good = false;

	(void)snprintf(path, sizeof path, "%s/%s", common->mail_directory, under);
	if (mkdir(path, 0700) < 0 && errno != EEXIST) {
		buffer_printf(errors, "%s: %s", path, strerror(errno));
		return false;
	}
	if ((fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)) < 0 ||
	    fstat(fd, &st) < 0)
		buffer_printf(errors, "%s: %s", path, strerror(errno));
	else if (st.st_uid != user->uid && st.st_uid != 0)
		buffer_printf(errors, "%s belongs to uid %u and must belong to uid %u", path,
		              st.st_uid, user->uid);
	else if ((st.st_uid != user->uid && fchown(fd, user->uid, user->gid) < 0) ||
	         fchmod(fd, 0700) < 0)
		buffer_printf(errors, "%s: %s", path, strerror(errno));
	else
		good = true;
	if (fd >= 0)
		(void)close(fd);
	return good;
}

/* The lists of groups are short; who is in thousands keeps the first of them. */
enum { GROUPS_MOST = 1024 };

static void
take_groups(const char *privileged, struct arena *a, struct system_user *u)
{
	gid_t         all[GROUPS_MOST];
	int           n = GROUPS_MOST;
	struct group *mail = *privileged != '\0' ? getgrnam(privileged) : NULL;

	if (getgrouplist(u->name, u->gid, all, &n) < 0)
		n = GROUPS_MOST;
	u->group = arena_take_array(a, (size_t)n + 1, sizeof *u->group);
	memcpy(u->group, all, (size_t)n * sizeof *all);
	u->groups = u->own_groups = (size_t)n;
	if (mail != NULL)
		u->group[u->groups++] = mail->gr_gid;
}

bool
confine_user(uid_t uid, const struct common_settings *common, struct arena *a,
             struct system_user *u, struct buffer *errors)
{
	struct passwd *entry;

	errno = 0;
	if ((entry = getpwuid(uid)) == NULL) {
		buffer_printf(errors, "uid %u: %s", uid,
		              errno != 0 ? strerror(errno) : "there is no such user");
		return false;
	}
	if (geteuid() != 0 && geteuid() != uid) {
		buffer_printf(
			errors,
			"mail of %s is kept under uid %u, and only a server started by root can do that",
			entry->pw_name, uid);
		return false;
	}
	*u = (struct system_user){ .uid = uid,
		                   .place = uid,
		                   .gid = entry->pw_gid,
		                   .pipe_gid = entry->pw_gid,
		                   .name = arena_copy(a, bytes_of(entry->pw_name)),
		                   .home = arena_copy(a, bytes_of(entry->pw_dir)),
		                   .shell = arena_copy(a, bytes_of(entry->pw_shell)) };
	take_groups(common->mail_privileged_group, a, u);
	return true;
}

/* What modules of PAM are known to need, and no more.  No new privileges come by a program of theirs, either. */
static void
stay_root(struct buffer *words)
{
	static const int kept[] = { CAP_CHOWN, CAP_DAC_OVERRIDE, CAP_FOWNER, CAP_FSETID,
		                    CAP_KILL,  CAP_SETGID,       CAP_SETUID, CAP_SYS_RESOURCE };

	struct __user_cap_header_struct head = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct   now[2] = { { 0 } };
	uint32_t                        keep[2] = { 0 };

	for (size_t i = 0; i < COUNT(kept); i++)
		keep[kept[i] / 32] |= 1U << kept[i] % 32;
	for (int cap = 0; cap < 64; cap++)
		if ((keep[cap / 32] & 1U << cap % 32) == 0)
			(void)prctl(PR_CAPBSET_DROP, cap, 0, 0, 0);
	if (syscall(SYS_capget, &head, now) == 0) {
		for (int i = 0; i < 2; i++) {
			now[i].permitted &= keep[i];
			now[i].effective = now[i].permitted;
			now[i].inheritable = 0;
		}
		(void)syscall(SYS_capset, &head, now);
	}
	(void)umask(0077);
	(void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	(void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	buffer_add_string(words, geteuid() == 0 ? " root(PAM needs it) no-new-privileges"
	                                        : " not-root no-new-privileges");
}

static void
find_ports(enum role role, const struct common_settings *common, struct landlock_ports *p)
{
	uint16_t one = confine_asks(role, common);

	*p = (struct landlock_ports){ .count = one != 0, .port = { one } };
	p->any = role == SENDER || role == CERTIFIER;
	if (leads == NULL)
		return;
	p->any = leads->any_port;
	for (size_t i = 0; i < leads->ports && p->count < COUNT(p->port); i++)
		p->port[p->count++] = leads->port[i];
}

bool
confine_become(const struct system_user *u, struct buffer *errors)
{
	if (geteuid() == 0 && !become((struct role_account){ u->uid, u->gid }, u->pipe_gid,
	                              u->group, u->own_groups, errors))
		return false;
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
	       prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0 &&
	       prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) == 0;
}

bool
confine_enter(enum role role, const struct system_user *user, const struct common_settings *common,
              const char **root, struct buffer *words, struct buffer *errors)
{
	struct cage           c = cages[role];
	bool                  was_root = geteuid() == 0;
	struct role_account   a = { geteuid(), getegid() };
	struct outside        outside = { .count = 0 };
	struct landlock_ports ports;
	char                  own[32];

	*root = common->mail_directory;
	limits(&c);
	if (c.root) {
		stay_root(words);
		return true;
	}
	if (user != NULL) {
		(void)snprintf(own, sizeof own, "users/%u", user->place);
		c.place[0] = (struct landlock_place){ own, true };
		c.place[1].path = NULL;
		c.secret = true;
		if (!make_users_place(user, common, own, errors))
			return false;
		if (user->owner)
			find_outside(role, common, &outside);
		else
			find_outside_of_user(user, common, &outside);
		a = (struct role_account){ user->uid, user->gid };
	} else {
		if (was_root)
			a = role_account(role, common);
		find_outside(role, common, &outside);
		if (!outside.to_read)
			make_outside(&outside, a);
	}
	if (was_root) {
		view(&c, &outside, leads_out(role) || confine_asks(role, common) != 0,
		     common->mail_directory, root, words);
		if (!become(a, a.gid, user != NULL ? user->group : NULL,
		            user != NULL ? user->groups : 0, errors))
			return false;
		buffer_add_string(words, " no-capabilities");
	}
	(void)umask(role == QUEUE ? 0027 : 0077);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) {
		buffer_printf(errors, "no_new_privs: %s", strerror(errno));
		return false;
	}
	buffer_add_string(words, " no-new-privileges");
	if (c.secret)
		(void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	find_ports(role, common, &ports);
	return lock_places(&c, &outside, &ports, *root, words, errors);
}

bool
confine_close(enum role role, const struct common_settings *common, struct buffer *words,
              struct buffer *errors)
{
	unsigned calls = cages[role].calls | (confine_asks(role, common) != 0 ? SYSCALLS_ASK : 0);

	if (!has_libraries(role) && leads_out(role))
		calls |= SYSCALLS_ASK | SYSCALLS_LOCAL;

	if (cages[role].root)
		return true;
	if (WATCHED) {
		buffer_add_string(words, " no-seccomp(sanitizers)");
		return true;
	}
	/* Threads count too. */
	if ((calls & SYSCALLS_CLIENT) == 0)
		limit(RLIMIT_NPROC, 0);
	if (syscalls_close(calls) < 0) {
		buffer_printf(errors, "seccomp: %s", strerror(errno));
		return false;
	}
	buffer_add_string(words, " seccomp");
	return true;
}

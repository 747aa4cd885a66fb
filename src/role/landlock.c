#include "role/landlock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* As the kernel has it; the headers of Debian 12 know only the first field. */
struct ruleset {
	uint64_t files, net, scoped;
};
struct beneath {
	uint64_t allowed;
	int32_t  parent;
} __attribute__((packed));

struct connecting {
	uint64_t allowed, port;
};

enum { CREATE_RULESET_VERSION = 1, RULE_PATH_BENEATH = 1, RULE_NET_PORT = 2 };

/* clang-format off */
/* Rights on files, in the order the kernel numbers them, and the first version
   of Landlock that knows each. */
enum right {
	EXECUTE, WRITE_FILE, READ_FILE, READ_DIR, REMOVE_DIR, REMOVE_FILE, MAKE_CHAR, MAKE_DIR,
	MAKE_REG, MAKE_SOCK, MAKE_FIFO, MAKE_BLOCK, MAKE_SYM, REFER, TRUNCATE, IOCTL_DEV, RIGHTS
};
/* clang-format on */
static const int known_since[RIGHTS] = { [REFER] = 2, [TRUNCATE] = 3, [IOCTL_DEV] = 5 };

#define MAY(right) (UINT64_C(1) << (right))
static const uint64_t may_read = MAY(READ_FILE) | MAY(READ_DIR);
static const uint64_t may_write = MAY(READ_FILE) | MAY(READ_DIR) | MAY(WRITE_FILE) |
                                  MAY(REMOVE_DIR) | MAY(REMOVE_FILE) | MAY(MAKE_DIR) |
                                  MAY(MAKE_REG) | MAY(REFER) | MAY(TRUNCATE);
static const uint64_t of_files = MAY(READ_FILE) | MAY(WRITE_FILE) | MAY(TRUNCATE);

enum {
	NET_SINCE = 4,
	NET_BIND_AND_CONNECT = 3,
	NET_BIND = 1,
	NET_CONNECT = 2,
	SCOPE_SINCE = 6,
	SCOPE_SOCKETS_AND_SIGNALS = 3,
};

static uint64_t
known_to(int version)
{
	uint64_t known = 0;

	for (int r = 0; r < RIGHTS; r++)
		if (version >= known_since[r])
			known |= MAY(r);
	return known;
}

static int
allow(int ruleset, const struct landlock_place *place, uint64_t known)
{
	struct beneath rule = { .allowed = known & (place->write ? may_write : may_read) };
	struct stat    st;
	long           n;
	int            why;

	if ((rule.parent = open(place->path, O_PATH | O_CLOEXEC)) < 0)
		return -1;
	if (fstat(rule.parent, &st) == 0 && !S_ISDIR(st.st_mode))
		rule.allowed &= of_files;
	n = syscall(SYS_landlock_add_rule, ruleset, RULE_PATH_BENEATH, &rule, 0);
	why = errno;
	(void)close(rule.parent);
	errno = why;
	return n == 0 ? 0 : -1;
}

static size_t
ruleset_size(int version)
{
	return version >= SCOPE_SINCE ? sizeof(struct ruleset)
	       : version >= NET_SINCE ? offsetof(struct ruleset, scoped)
	                              : offsetof(struct ruleset, net);
}

int
landlock_close(const struct landlock_place *place, size_t count, const struct landlock_ports *ports)
{
	int            version, ruleset, why;
	struct ruleset rules = { .net = ports->any ? NET_BIND : NET_BIND_AND_CONNECT,
		                 .scoped = SCOPE_SOCKETS_AND_SIGNALS };

	version = (int)syscall(SYS_landlock_create_ruleset, NULL, 0, CREATE_RULESET_VERSION);
	/* EPERM: the filter of a container around us forbids it to everybody inside. */
	if (version <= 0)
		return errno == ENOSYS || errno == EOPNOTSUPP || errno == EPERM ? 0 : -1;
	rules.files = known_to(version);
	ruleset = (int)syscall(SYS_landlock_create_ruleset, &rules, ruleset_size(version), 0);
	if (ruleset < 0)
		goto err0;
	for (size_t i = 0; i < count; i++)
		if (allow(ruleset, &place[i], rules.files) < 0)
			goto err1;
	/* Who may connect anywhere may say from which address (smtp_bind_address), at a port the kernel chooses. */
	if (ports->any && version >= NET_SINCE) {
		const struct connecting own = { NET_BIND, 0 };
		if (syscall(SYS_landlock_add_rule, ruleset, RULE_NET_PORT, &own, 0) < 0)
			goto err1;
	}
	for (size_t i = 0; i < ports->count && version >= NET_SINCE && !ports->any; i++) {
		const struct connecting server = { NET_CONNECT, ports->port[i] };
		if (syscall(SYS_landlock_add_rule, ruleset, RULE_NET_PORT, &server, 0) < 0)
			goto err1;
	}
	if (syscall(SYS_landlock_restrict_self, ruleset, 0) < 0)
		goto err1;
	(void)close(ruleset);
	return version;

err1:
	why = errno;
	(void)close(ruleset);
	errno = why;
err0:
	return -1;
}

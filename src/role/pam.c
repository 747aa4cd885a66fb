/*
 * pam -- asks PAM whether a password is right
 *
 * The modules of PAM want to be root, and may do anything; so they run here and nowhere else: a process for each
 * check, ended when it takes too long, which can speak with nobody and gives back one answer.  This role
 * listens to the clerk alone.
 */
#include "role/pam.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "role/house.h"

enum { ANSWER_FD = 3, WAITING_MOST = 256, ANSWER_MOST = 16384, GENERATIONS_MOST = 64 };

#define AT(f) offsetof(struct pam_settings, f)
/* clang-format off */
static const struct setting rows[] = {
	{ "auth_pam_session", SETTING_BOOL, AT(session), "no", "Whether a login opens and closes a session of PAM, so that its modules may make a home directory.", .since = "0.2" },
	{ "auth_pam_setcred", SETTING_BOOL, AT(setcred), "no", "Whether a login establishes and deletes credentials (pam_setcred(3)).", .since = "0.2" },
	{ "auth_pam_failure_show_msg", SETTING_BOOL, AT(show), "no", "Whether what the modules of PAM say of a failure is told in the log, too; clients hear the same words of every failure.", .since = "0.2" },
	{ "auth_pam_timeout", SETTING_TIME, AT(timeout_ms), "25s", "How long one check may take; then the answer is: later.", NULL, 100, 600000, "0.2" },
	{ "auth_pam_process_limit", SETTING_NUMBER, AT(most), "8", "How many checks are made at once.", NULL, 1, 256, "0.2" },
};
/* clang-format on */
#undef AT
const struct setting_table pam_setting_table = { "Operating-system users", rows, COUNT(rows) };

struct asking;
/* One check that is under way or waits for its turn. */
struct check {
	struct check  *next;
	struct asking *all;
	uint32_t       ticket;
	struct bytes   body; /* the question                          */
	pid_t          pid;
	int            fd; /* its answer comes here                 */
	struct watch  *watch;
	struct timer  *timer;
	struct buffer  answer;
};
struct asking {
	struct house       *house;
	struct pam_settings rows;
	struct check       *first; /* all of them, oldest first             */
	size_t              running, waiting;
	uint64_t            asked, late;
};

static void checks_go(struct asking *);

static bool
is_check(const struct asking *all, pid_t pid)
{
	const struct check *c = all->first;

	while (c != NULL && c->pid != pid)
		c = c->next;
	return c != NULL;
}

/* What modules started and left behind is ours now (PR_SET_CHILD_SUBREAPER): how many of them there were. */
static int
orphans_look(const struct asking *all, bool end)
{
	FILE *list = fopen("/proc/thread-self/children", "re");
	int   pid, count = 0;

	while (list != NULL && fscanf(list, "%d", &pid) == 1) {
		if (is_check(all, pid))
			continue;
		if (end)
			(void)kill(pid, SIGKILL);
		(void)waitpid(pid, NULL, end ? 0 : WNOHANG);
		count++;
	}
	if (list != NULL)
		(void)fclose(list);
	return count;
}

/* What a check that had to be ended was waiting for ends, too, in whatever session or group it may be; and then
   what that had started. */
static void
orphans_end(const struct asking *all, bool end)
{
	for (int i = 0; i < GENERATIONS_MOST && orphans_look(all, end) > 0 && end; i++)
		continue;
}

/* `ended`: it was not at its end. */
static void
check_close(struct check *c, bool ended)
{
	struct check **at = &c->all->first;

	while (*at != c)
		at = &(*at)->next;
	*at = c->next;
	*(c->pid > 0 ? &c->all->running : &c->all->waiting) -= 1;
	watch_close(&c->watch);
	timer_close(&c->timer);
	if (c->fd >= 0)
		(void)close(c->fd);
	if (c->pid > 0) {
		(void)kill(c->pid, SIGKILL);
		(void)waitpid(c->pid, NULL, 0);
		orphans_end(c->all, ended);
	}
	explicit_bzero((char *)(uintptr_t)c->body.at, c->body.len);
	memory_free((char *)(uintptr_t)c->body.at);
	buffer_free(&c->answer);
	memory_free(c);
}

static void
check_say(struct check *c, struct bytes body)
{
	struct link *l = house_link(c->all->house, CLERK, 0);

	if (l != NULL)
		link_say(l, WORD_CRED_SAID, c->ticket, body, -1);
}

static void
check_later(struct check *c, const char *why)
{
	struct word_credential_said said = { .outcome = CREDENTIAL_LATER, .text = why };
	struct buffer               body = { 0 };

	c->all->late++;
	word_pack_credential_said(&body, &said);
	check_say(c, buffer_bytes(&body));
	buffer_free(&body);
}

/* Its process is at an end: a whole answer is passed on, anything else is none. */
static void
check_over(struct check *c)
{
	struct asking              *all = c->all;
	struct arena               *scratch = arena_open(NULL);
	struct word_credential_said said;

	if (word_unpack_credential_said(buffer_bytes(&c->answer), scratch, &said)) {
		if (said.outcome == CREDENTIAL_LATER)
			warn_("pam: %s", said.text);
		check_say(c, buffer_bytes(&c->answer));
	} else {
		warn_("pam: a check ended without an answer");
		check_later(c, "PAM gave no answer");
	}
	arena_close(&scratch);
	check_close(c, false);
	checks_go(all);
}

static void
check_ready(void *ctx, int bits)
{
	struct check *c = ctx;
	ssize_t       n = read(c->fd, buffer_room(&c->answer, 4096), 4096);

	(void)bits;
	if (n > 0)
		buffer_took(&c->answer, (size_t)n);
	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR) || c->answer.len > ANSWER_MOST)
		check_over(c);
}

static void
check_late(void *ctx)
{
	struct check  *c = ctx;
	struct asking *all = c->all;

	warn_("pam: a check takes longer than auth_pam_timeout: ending it");
	check_later(c, "PAM takes too long");
	check_close(c, true);
	checks_go(all);
}

/* In the process of its own: nothing of the house is open but where the answer goes, and programs of the modules
   have not even that.  It ends with us, and so do they. */
static bool
alone(int fd, pid_t role)
{
	int nothing;

	if ((fd != ANSWER_FD && dup2(fd, ANSWER_FD) < 0) || close_range(ANSWER_FD + 1, ~0U, 0) < 0)
		return false;
	if (fcntl(ANSWER_FD, F_SETFD, FD_CLOEXEC) < 0 ||
	    (nothing = open("/dev/null", O_RDWR | O_CLOEXEC)) < 0 || dup2(nothing, 0) < 0 ||
	    dup2(nothing, 1) < 0 || dup2(nothing, 2) < 0)
		return false;
	if (nothing > ANSWER_FD)
		(void)close(nothing);
	(void)signal(SIGPIPE, SIG_DFL);
	(void)signal(SIGCHLD, SIG_DFL);
	return clearenv() == 0 && setenv("PATH", "/usr/sbin:/usr/bin:/sbin:/bin", 1) == 0 &&
	       prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) == 0 && getppid() == role;
}

static _Noreturn void
check_run(const struct check *c, int fd, pid_t role)
{
	struct arena               *a = arena_open(NULL);
	struct buffer               body = { 0 };
	struct word_credential_ask  ask;
	struct word_credential_said said = { .outcome = CREDENTIAL_LATER,
		                             .text = "broken question" };

	if (!alone(fd, role))
		_exit(1);
	if (word_unpack_credential_ask(c->body, a, &ask))
		pam_check(&ask, &c->all->rows, a, &said);
	word_pack_credential_said(&body, &said);
	_exit(file_write(ANSWER_FD, buffer_bytes(&body)) == 0 ? 0 : 1);
}

static bool
check_start(struct check *c)
{
	pid_t role = getpid();
	int   fd[2];

	if (pipe2(fd, O_CLOEXEC) < 0)
		return false;
	if ((c->pid = fork()) == 0)
		check_run(c, fd[1], role);
	(void)close(fd[1]);
	if (c->pid < 0) {
		c->pid = 0;
		(void)close(fd[0]);
		return false;
	}
	c->all->waiting--;
	c->all->running++;
	c->fd = fd[0];
	(void)fcntl(c->fd, F_SETFL, O_NONBLOCK);
	c->watch = watch_open(c->all->house->loop, c->fd, check_ready, c);
	watch_want(c->watch, LOOP_READ);
	c->timer = timer_open(c->all->house->loop, check_late, c);
	timer_set(c->timer, c->all->rows.timeout_ms);
	return true;
}

static void
checks_go(struct asking *all)
{
	struct check *next;

	for (struct check *c = all->first; c != NULL && all->running < (size_t)all->rows.most;
	     c = next) {
		next = c->next;
		if (c->pid > 0 || check_start(c))
			continue;
		warn_("pam: a check cannot be started: %s", strerror(errno));
		check_later(c, "PAM cannot be asked now");
		check_close(c, true);
	}
}

static void
check_add(struct asking *all, uint32_t ticket, struct bytes body)
{
	struct check **at = &all->first, *c = memory_take(sizeof *c);
	char          *copy = memory_take(body.len + 1);

	memcpy(copy, body.at, body.len);
	*c = (struct check){ .all = all, .ticket = ticket, .body = { copy, body.len }, .fd = -1 };
	while (*at != NULL)
		at = &(*at)->next;
	*at = c;
	all->asked++;
	if (++all->waiting <= WAITING_MOST) {
		checks_go(all);
		return;
	}
	check_later(c, "too many logins at once");
	check_close(c, true);
}

/* ---- the card ---- */

static void
pam_reload(struct house *h)
{
	struct asking *all = h->mine;

	(void)house_settings(h, &pam_setting_table, NULL, &all->rows);
}

static bool
pam_start_work(struct house *h)
{
	struct asking *all = memory_take(sizeof *all);

	h->mine = all;
	all->house = h;
	(void)prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
	if (geteuid() != 0)
		warn_("pam: this server was not started by root: most modules of PAM will refuse every "
		      "password but that of uid %u",
		      geteuid());
	return house_settings(h, &pam_setting_table, NULL, &all->rows);
}

static bool
hear_user(struct house *h, uint32_t ticket, struct bytes name)
{
	struct word_credential_said said = { .outcome = CREDENTIAL_NOBODY, .text = "unknown user" };
	struct link                *l = house_link(h, CLERK, 0);
	struct buffer               fields = { 0 };
	char                        word[256];
	bool                        later = false;

	if (bytes_string(name, word, sizeof word) && system_who(word, &fields, &later))
		said.outcome = CREDENTIAL_PASS;
	else if (later)
		said.outcome = CREDENTIAL_LATER;
	said.fields = buffer_bytes(&fields);
	if (l != NULL) {
		word_pack_credential_said(link_begin(l, WORD_USER_IS, ticket), &said);
		link_end(l);
	}
	buffer_free(&fields);
	return true;
}

/* At a reload the clerk may know of it before us. */
static void
refuse_service(struct house *h, uint32_t ticket)
{
	struct word_credential_said said = { .outcome = CREDENTIAL_LATER,
		                             .text = "auth_backends names no such service" };
	struct link                *l = house_link(h, CLERK, 0);

	if (l == NULL)
		return;
	word_pack_credential_said(link_begin(l, WORD_CRED_SAID, ticket), &said);
	link_end(l);
}

static bool
pam_hear(struct house *h, enum role from, uint32_t index, enum word word, uint32_t ticket,
         struct bytes body, int fd)
{
	struct arena              *scratch = arena_open(NULL);
	struct word_credential_ask ask;
	bool                       whole;
	(void)from;
	(void)index;

	if (fd >= 0)
		(void)close(fd);
	whole = word == WORD_USER_ASK ? hear_user(h, ticket, body)
	                              : word_unpack_credential_ask(body, scratch, &ask);
	if (whole && word == WORD_CRED_ASK &&
	    credential_names_service(&h->common.auth_backends, ask.backend))
		check_add(h->mine, ticket, body);
	else if (whole && word == WORD_CRED_ASK)
		refuse_service(h, ticket);
	arena_close(&scratch);
	return whole;
}

static void
pam_lost(struct house *h, enum role role, uint32_t index)
{
	struct asking *all = h->mine;
	(void)role;
	(void)index;

	while (all->first != NULL)
		check_close(all->first, true);
}

static void
pam_stop(struct house *h)
{
	pam_lost(h, CLERK, 0);
	house_leave(h);
}

static void
pam_status(struct house *h, uint32_t *connections, struct buffer *text)
{
	struct asking *all = h->mine;

	*connections = (uint32_t)(all->running + all->waiting);
	buffer_printf(text, "checks=%llu late=%llu running=%zu waiting=%zu",
	              (unsigned long long)all->asked, (unsigned long long)all->late, all->running,
	              all->waiting);
}

const struct role_card pam_card = {
	.name = "pam",
	.start = pam_start_work,
	.hear = pam_hear,
	.lost = pam_lost,
	.reload = pam_reload,
	.stop = pam_stop,
	.status = pam_status,
};

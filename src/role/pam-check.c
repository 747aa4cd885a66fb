/* pam-check.c -- the conversation with PAM (role/pam.h); see pam(3), pam_conv(3) */
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#ifdef MANSIO_PAM
#include <security/pam_appl.h>
#endif
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/journal.h"
#include "directory/directory.h"
#include "role/pam.h"

bool
system_who(const char *name, struct buffer *fields, bool *later)
{
	struct passwd *entry;

	errno = 0;
	entry = getpwnam(name);
	*later = entry == NULL && errno != 0 && errno != ENOENT && errno != ESRCH &&
	         errno != EBADF && errno != EPERM;
	if (entry == NULL)
		return false;
	if (entry->pw_uid >= DIRECTORY_SYSTEM_UIDS) {
		warn_("uid %u of %s is too large: no keeper of mail can have it; right would be one below %u",
		      entry->pw_uid, entry->pw_name, DIRECTORY_SYSTEM_UIDS);
		return false;
	}
	buffer_printf(fields, "system_uid=%u\nsystem_gid=%u\n", entry->pw_uid, entry->pw_gid);
	credential_field_add(fields, "user", bytes_of(entry->pw_name));
	credential_field_add(fields, "home", bytes_of(entry->pw_dir));
	credential_field_add(fields, "shell", bytes_of(entry->pw_shell));
	credential_field_add(fields, "gecos", bytes_of(entry->pw_gecos));
	return true;
}

#ifdef MANSIO_PAM
enum { NAME_MOST = 256, INCLUDES_DEEP = 8, SERVICE_MOST = 64 << 10 };

struct talk {
	const struct word_credential_ask *ask;
	struct buffer                     said; /* what modules wanted the user to read */
};

/* The modules free what they get, with free(3). */
static char *
spoken(struct bytes word)
{
	return strndup(word.at != NULL ? word.at : "", word.len);
}

static int
converse(int count, const struct pam_message **message, struct pam_response **out, void *ctx)
{
	struct talk         *t = ctx;
	struct pam_response *answer;

	if (count < 1 || count > PAM_MAX_NUM_MSG ||
	    (answer = calloc((size_t)count, sizeof *answer)) == NULL)
		return PAM_CONV_ERR;
	for (int i = 0; i < count; i++) {
		if (message[i]->msg_style == PAM_PROMPT_ECHO_OFF)
			answer[i].resp = spoken(t->ask->password);
		else if (message[i]->msg_style == PAM_PROMPT_ECHO_ON)
			answer[i].resp = spoken(t->ask->user);
		else if (t->said.len < 512)
			buffer_printf(&t->said, "%s%s", t->said.len > 0 ? " " : "",
			              message[i]->msg);
	}
	*out = answer;
	return PAM_SUCCESS;
}

/* The clerk knows how long to let somebody wait. */
static void
no_delay(int result, unsigned usec, void *ctx)
{
	(void)result;
	(void)usec;
	(void)ctx;
}

/* ---- closed for a while ---- */

/* A word of a line of pam.d(5); what stands in brackets is one. */
static bool
service_word(struct bytes *rest, struct bytes *word)
{
	size_t n = 0;

	*rest = bytes_trim(*rest);
	if (rest->len == 0 || rest->at[0] == '#')
		return false;
	if (rest->at[0] == '[')
		while (n < rest->len && rest->at[n] != ']')
			n++;
	while (n < rest->len && rest->at[n] != ' ' && rest->at[n] != '\t')
		n++;
	*word = bytes_cut(*rest, 0, n);
	*rest = bytes_cut(*rest, n, rest->len);
	return true;
}

/* pam_nologin(8): the file it is told of, else one of two. */
static bool
is_closed_by(struct bytes arguments, struct arena *a)
{
	struct bytes word;

	while (service_word(&arguments, &word))
		if (bytes_starts(word, BYTES("file=")))
			return access(arena_copy(a, bytes_cut(word, 5, word.len)), F_OK) == 0;
	return access("/run/nologin", F_OK) == 0 || access("/etc/nologin", F_OK) == 0;
}

static bool is_closed(const char *service, struct bytes phase, unsigned deep, struct arena *);

/* line = "@include" service / ["-"] type control module-path [module-arguments] */
static bool
is_closed_line(struct bytes line, struct bytes phase, unsigned deep, struct arena *a)
{
	struct bytes word[3];

	for (size_t i = 0; i < COUNT(word); i++) {
		if (!service_word(&line, &word[i]))
			return false;
		if (i == 1 && bytes_equal(word[0], BYTES("@include")))
			return is_closed(arena_copy(a, word[1]), phase, deep + 1, a);
	}
	if (bytes_starts(word[0], BYTES("-")))
		word[0] = bytes_cut(word[0], 1, word[0].len);
	if (!bytes_equal_nocase(word[0], phase))
		return false;
	if (bytes_equal(word[1], BYTES("include")) || bytes_equal(word[1], BYTES("substack")))
		return is_closed(arena_copy(a, word[2]), phase, deep + 1, a);
	return bytes_ends_nocase(word[2], BYTES("pam_nologin.so")) && is_closed_by(line, a);
}

/* shutdown(8) and administrators close a system to all but root for a while: where the service, or what it includes,
   says so for the phase that refused. */
static bool
is_closed(const char *service, struct bytes phase, unsigned deep, struct arena *a)
{
	struct buffer text = { 0 };
	struct bytes  rest, line;
	bool          closed = false;
	int           fd = -1;

	if (deep < INCLUDES_DEEP)
		fd = open(service[0] == '/' ? service : arena_printf(a, "/etc/pam.d/%s", service),
		          O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		(void)file_read(fd, SERVICE_MOST, &text);
		(void)close(fd);
	}
	rest = buffer_bytes(&text);
	while (!closed && bytes_split(&rest, '\n', &line))
		closed = is_closed_line(line, phase, deep, a);
	buffer_free(&text);
	return closed;
}

/* clang-format off */
static const struct verdict {
	int                     result;
	enum credential_outcome authentication, account;
	const char             *words;
} verdicts[] = {
	{ PAM_USER_UNKNOWN,         CREDENTIAL_NOBODY, CREDENTIAL_CLOSED, "unknown user" },
	{ PAM_AUTH_ERR,             CREDENTIAL_FAIL,   CREDENTIAL_CLOSED, "password mismatch" },
	{ PAM_PERM_DENIED,          CREDENTIAL_FAIL,   CREDENTIAL_CLOSED, "not permitted" },
	{ PAM_MAXTRIES,             CREDENTIAL_FAIL,   CREDENTIAL_CLOSED, "too many tries" },
	{ PAM_CRED_INSUFFICIENT,    CREDENTIAL_LATER,  CREDENTIAL_LATER,  "may not read passwords" },
	{ PAM_ACCT_EXPIRED,         CREDENTIAL_CLOSED, CREDENTIAL_CLOSED, "account is expired" },
	{ PAM_NEW_AUTHTOK_REQD,     CREDENTIAL_CLOSED, CREDENTIAL_CLOSED, "password is expired" },
	{ PAM_AUTHTOK_EXPIRED,      CREDENTIAL_CLOSED, CREDENTIAL_CLOSED, "password is expired" },
	{ PAM_CRED_EXPIRED,         CREDENTIAL_CLOSED, CREDENTIAL_CLOSED, "credentials are expired" },
};
/* clang-format on */

static enum credential_outcome
judged(int result, bool account, const char **words)
{
	for (size_t i = 0; i < COUNT(verdicts); i++)
		if (verdicts[i].result == result) {
			*words = account && (result == PAM_AUTH_ERR || result == PAM_PERM_DENIED ||
			                     result == PAM_USER_UNKNOWN)
			                 ? "account is not permitted"
			                 : verdicts[i].words;
			return account ? verdicts[i].account : verdicts[i].authentication;
		}
	*words = NULL;
	return CREDENTIAL_LATER;
}

/* What happens after the password was right. */
static int
attend(pam_handle_t *h, const struct pam_settings *s)
{
	int result = PAM_SUCCESS;

	if (s->setcred)
		result = pam_setcred(h, PAM_ESTABLISH_CRED);
	if (result == PAM_SUCCESS && s->session) {
		result = pam_open_session(h, 0);
		if (result == PAM_SUCCESS)
			result = pam_close_session(h, 0);
	}
	if (s->setcred)
		(void)pam_setcred(h, PAM_DELETE_CRED);
	return result;
}

static int
prepare(pam_handle_t *h, const struct word_credential_ask *ask)
{
	int result = pam_set_item(h, PAM_TTY, "mansio");

	if (result == PAM_SUCCESS && *ask->remote != '\0')
		result = pam_set_item(h, PAM_RHOST, ask->remote);
	if (result == PAM_SUCCESS)
		result = pam_set_item(h, PAM_FAIL_DELAY, (const void *)(uintptr_t)no_delay);
	return result;
}

/* All phases; whether it came to the account's. */
static int
phases(pam_handle_t *h, const struct word_credential_ask *ask, const struct pam_settings *s,
       bool *account)
{
	int result = prepare(h, ask);

	if (result == PAM_SUCCESS && ask->mode == CREDENTIAL_CHECK)
		result = pam_authenticate(h, 0);
	if (result != PAM_SUCCESS)
		return result;
	*account = true;
	result = pam_acct_mgmt(h, 0);
	return result == PAM_SUCCESS && ask->mode == CREDENTIAL_CHECK ? attend(h, s) : result;
}

/* A name that is none of the operating system's is not PAM's to refuse: the next is asked. */
static void
conclude(struct word_credential_said *said, const struct word_credential_ask *ask, int result,
         bool account, pam_handle_t *h, const char *name, struct arena *a)
{
	struct buffer fields = { 0 };
	const void   *user = NULL;
	const char   *words = "";
	bool          later, known;

	if (result == PAM_SUCCESS && pam_get_item(h, PAM_USER, &user) == PAM_SUCCESS &&
	    user != NULL)
		name = user;
	known = system_who(name, &fields, &later);
	said->outcome = result == PAM_SUCCESS ? CREDENTIAL_PASS : judged(result, account, &words);
	if (said->outcome == CREDENTIAL_FAIL && !known && !later)
		said->outcome = CREDENTIAL_NOBODY;
	/* Who shows no password is one of the operating system's, or nobody PAM could answer for. */
	if (ask->mode != CREDENTIAL_CHECK && !known && !later)
		said->outcome = CREDENTIAL_NOBODY;
	if (said->outcome == CREDENTIAL_PASS && later) {
		said->outcome = CREDENTIAL_LATER;
		words = "who that is cannot be told now";
	}
	/* pam_nologin(8) fails an authentication as a wrong password does: whose password was right is not told then. */
	if ((said->outcome == CREDENTIAL_CLOSED || said->outcome == CREDENTIAL_FAIL) &&
	    is_closed(ask->backend, account ? BYTES("account") : BYTES("auth"), 0, a)) {
		said->outcome = CREDENTIAL_LATER;
		words = "the system is closed (nologin)";
	}
	if (said->outcome == CREDENTIAL_PASS && !known)
		credential_field_add(&fields, "user", bytes_of(name));
	said->text = words != NULL ? words : arena_copy(a, bytes_of(pam_strerror(h, result)));
	said->fields = arena_keep(a, buffer_bytes(&fields));
	buffer_free(&fields);
}

/* Modules make paths, lines of logs and words of commands of it. */
static bool
is_name(struct bytes user)
{
	for (size_t i = 0; i < user.len; i++)
		if ((unsigned char)user.at[i] <= ' ' || user.at[i] == 0x7f || user.at[i] == '/' ||
		    user.at[i] == ':')
			return false;
	return user.len > 0 && user.len < NAME_MOST && user.at[0] != '-' && !bytes_is(user, ".") &&
	       !bytes_is(user, "..");
}

void
pam_check(const struct word_credential_ask *ask, const struct pam_settings *s, struct arena *a,
          struct word_credential_said *said)
{
	struct talk           t = { .ask = ask };
	const struct pam_conv talk = { converse, &t };
	const char           *name = arena_copy(a, ask->user);
	pam_handle_t         *h = NULL;
	bool                  account = false;
	int                   result;

	*said = (struct word_credential_said){ .outcome = CREDENTIAL_LATER,
		                               .text = "PAM cannot start" };
	if (!is_name(ask->user) || bytes_find(ask->password, '\0') >= 0) {
		said->outcome = CREDENTIAL_NOBODY;
		return;
	}
	if (pam_start(ask->backend, name, &talk, &h) != PAM_SUCCESS)
		return;
	result = phases(h, ask, s, &account);
	conclude(said, ask, result, account, h, name, a);
	while (t.said.len > 0 &&
	       (t.said.at[t.said.len - 1] == '\n' || t.said.at[t.said.len - 1] == ' '))
		t.said.len--;
	if (s->show && said->outcome != CREDENTIAL_PASS && t.said.len > 0)
		said->text = arena_printf(a, "%s: %.*s", said->text, (int)t.said.len, t.said.at);
	(void)pam_end(h, result);
	buffer_free(&t.said);
}
#else
void
pam_check(const struct word_credential_ask *ask, const struct pam_settings *s, struct arena *a,
          struct word_credential_said *said)
{
	(void)ask;
	(void)s;
	(void)a;
	*said = (struct word_credential_said){ .outcome = CREDENTIAL_LATER,
		                               .text = "this program was built without PAM" };
}
#endif

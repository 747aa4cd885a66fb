#include "unit.h"

#include "base/variable.h"

static void
test_long_names(void **state)
{
	/* clang-format off */
	static const struct { const char *why, *text, *shorter; } rows[] = {
		{ "nothing to do", "maildir:/var/vmail/%d/%n", "maildir:/var/vmail/%d/%n" },
		{ "Dovecot 2.3's table of user variables", "%{user} %{username} %{domain} %{home}", "%u %n %d %h" },
		{ "a modifier goes between % and the brace", "%L{user}@%U{domain}", "%Lu@%Ud" },
		{ "Dovecot 2.4's filters", "%{user|lower}", "%Lu" },
		{ "of the name its half", "%{user | username | lower}-%{user|domain}", "%Ln-%d" },
		{ "as it is: no such name", "%{rip}", "%{rip}" },
		{ "as it is: no such filter", "%{user|md5}", "%{user|md5}" },
		{ "as it is: the half of a half", "%{domain|username}", "%{domain|username}" },
		{ "as it is: open", "%{user", "%{user" },
		{ "a percent sign is no variable", "%%{user}", "%%{user}" },
		{ "a brace alone", "{user} %", "{user} %" },
		{ "in the middle", "mbox:/srv/%{domain}/%{username}:INBOX=/var/mail/%{username}", "mbox:/srv/%d/%n:INBOX=/var/mail/%n" },
	};
	/* clang-format on */
	struct arena *a = arena_open(NULL);

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		SAME(rows[i].why, bytes_of(variable_shorten(rows[i].text, a)),
		     bytes_of(rows[i].shorter));
	arena_close(&a);
}

UNIT(test_long_names)

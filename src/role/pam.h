/*
 * pam -- one check of a password by PAM, and who somebody is for the operating system
 *
 * From:     role/pam, in a process of its own for each check
 *
 * pam_check()   authentication, then the account phase; setcred and a session as the settings say.
 *               Blocks for as long as the modules want.  *said is filled: outcome, words for the log, fields.
 * system_who()  getpwnam(3) as fields: system_uid, system_gid, home, shell, gecos.  False: there is no such user, or
 *               (*later) it cannot be told now.
 */
#ifndef ROLE_PAM_H
#define ROLE_PAM_H

#include "role/wire.h"

struct pam_settings {
	bool    session, setcred, show;
	int64_t timeout_ms, most;
};
extern const struct setting_table pam_setting_table;

void pam_check(const struct word_credential_ask *, const struct pam_settings *, struct arena *, struct word_credential_said *said);
bool system_who(const char *name, struct buffer *fields, bool *later);

#endif

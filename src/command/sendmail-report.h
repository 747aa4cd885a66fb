/*
 * sendmail-report -- what `sendmail -bv` mails to who asked: of each recipient, whether it would be taken
 *
 * In the languages of bounce_language, in the words of verify_template where bounce_template_file has one.
 */
#ifndef COMMAND_SENDMAIL_REPORT_H
#define COMMAND_SENDMAIL_REPORT_H

#include "base/buffer.h"
#include "role/settings.h"

struct asked_of { const char *address, *reply; };       /* the server's, "250 2.1.5 Ok" */
void sendmail_report(struct settings *, const struct common_settings *, const char *sender, const struct asked_of *, size_t count,
                     struct buffer *out);

#endif

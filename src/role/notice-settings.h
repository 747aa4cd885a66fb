/*
 * notice-settings -- the settings of notices that rows alone cannot know: files of templates, languages
 *
 * From:     role/queue-speech, the check of settings, `postconf -b`
 *
 * notice_template_file()  the file of bounce_template_file, NULL none.
 * notice_templates_load() reads it from the disk; false with complaints in *errors.
 * notice_expand()         puts settings in the place of $names; false when there is one nobody knows, and they
 *                         are appended to *unknown (may be NULL).
 * notice_settings_check() false with complaints.
 */
#ifndef ROLE_NOTICE_SETTINGS_H
#define ROLE_NOTICE_SETTINGS_H

#include "base/setting.h"
#include "message/notice-template.h"

const char *notice_template_file(const struct setting_list *);
bool notice_templates_load(const char *path, struct arena *, struct notice_templates *out, struct buffer *errors);
bool notice_expand(struct settings *, struct bytes text, struct arena *, struct buffer *out, struct buffer *unknown);
bool notice_settings_check(struct settings *, struct buffer *errors);

#endif

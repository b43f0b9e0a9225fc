"""Checks that keep strangers out of the local AWS and its state folder, each turned off."""

from __future__ import annotations

from mutate import Mutant

_GUARD = "scaler_batch.local.web.guard"
_CONNECTIONS = "scaler_batch.local.web.connections"
_STATE = "scaler_batch.local.state"


def _attack(name: str) -> tuple[str, ...]:
    return (f"test_local.py::test_{name}",)


_LINK = _attack("a_link_in_place_of_the_state_file_truncates_nothing")

MUTANTS = [
    Mutant(
        "any name leads here",
        _GUARD,
        "not in self._hosts:",
        "is None:",
        _attack("a_page_whose_name_leads_here_runs_nothing_even_if_it_could_sign"),
    ),
    Mutant(
        "a name may end in any way",
        _GUARD,
        'self._allowed.fullmatch(parts["name"])',
        'self._allowed.match(parts["name"])',
        _attack("a_page_whose_name_leads_here_runs_nothing_even_if_it_could_sign"),
    ),
    Mutant(
        "the last of two headers counts",
        _CONNECTIONS,
        "if name in self and name not in lists:",
        "if False:",
        _attack("two_names_in_one_request_are_none"),
    ),
    Mutant(
        "the target of a request may be an address",
        _GUARD,
        'if not target.startswith("/") or target.startswith("//"):',
        "if False:",
        _attack("two_names_in_one_request_are_none"),
    ),
    Mutant(
        "pages are answered",
        _GUARD,
        'if "HTTP_ORIGIN" in environ or site not in _FROM_NO_OTHER_SITE:',
        "if False:",
        _attack("no_page_is_told_that_it_may_read_or_is_answered"),
    ),
    Mutant(
        "what another site has fetched is answered",
        _GUARD,
        " or site not in _FROM_NO_OTHER_SITE",
        "",
        _attack("no_page_is_told_that_it_may_read_or_is_answered"),
    ),
    Mutant(
        "what is not signed passes",
        _GUARD,
        "return outdated(_call(environ)) if is_older(environ) else unsigned(_call(environ), ADVICE)",
        "return None",
        (
            *_attack("what_is_not_signed_is_refused"),
            *_attack("a_form_of_a_page_stores_nothing"),
            *_attack("a_page_cannot_wipe_everything"),
        ),
    ),
    Mutant(
        "every key is known",
        _GUARD,
        "return unknown_key(_call(environ), ADVICE)",
        "return None",
        _attack("a_key_of_another_server_or_account_is_refused_and_the_fix_is_named"),
    ),
    Mutant(
        "signatures are not checked",
        _GUARD,
        "if not is_signed_with(secret, signature, environ):",
        "if False:",
        (
            *_attack("an_authorization_that_is_made_up_opens_nothing"),
            *_attack("an_address_that_somebody_else_has_signed_opens_nothing"),
        ),
    ),
    Mutant(
        "addresses last for ever",
        _GUARD,
        " if has_expired(signature, environ, time.time()) else None",
        " if False else None",
        _attack("an_address_that_somebody_else_has_signed_opens_nothing"),
    ),
    Mutant(
        "the portal takes any token",
        _GUARD,
        "return None if self._is_secret(environ[SSO_TOKEN]) else",
        "return None if True else",
        _attack("the_portal_gives_keys_to_nobody_who_brings_any_token"),
    ),
    Mutant(
        "the server's own paths are open",
        _GUARD,
        "return None if self._knows_secret(environ) else",
        "return None if True else",
        (*_attack("the_servers_own_paths_are_closed_without_its_key"), *_attack("a_job_cannot_wipe_everything")),
    ),
    Mutant(
        "jobs have the user's key",
        "scaler_batch.local.server",
        "self._settings.enforce_iam else self._keys.job",
        "self._settings.enforce_iam else self._keys.user",
        _attack("a_job_has_no_key_of_the_user_and_its_own_works"),
    ),
    Mutant(
        "moto's own paths are open",
        "scaler_batch.local.services.application",
        "return None if service in _CLOSED else service",
        "return service",
        _attack("a_job_cannot_wipe_everything"),
    ),
    Mutant(
        "a thread waits for the head of a request",
        _CONNECTIONS,
        "if conn.rfile.has_head():\n            self._unwatch(conn)",
        "if True:\n            self._unwatch(conn)",
        _attack("requests_that_are_begun_and_not_ended_hold_up_nobody"),
    ),
    Mutant(
        "a stranger's body is read",
        "scaler_batch.local.web.serving",
        "answer = self.req.server.screen(self.env)",
        "answer = self.req.server.screen(self.env)\n        body = self.req.rfile.read()",
        (
            *_attack("a_body_of_300_mib_takes_no_memory"),
            *_attack("requests_that_are_begun_and_not_ended_hold_up_nobody"),
        ),
    ),
    Mutant(
        "headers are not counted",
        _CONNECTIONS,
        "if len(self) >= HEADERS:",
        "if False:",
        _attack("headers_without_end_are_refused"),
    ),
    Mutant(
        "privileged containers are made",
        "scaler_batch.local.containers.wishes",
        'if container.get("privileged") and not allow_privileged:',
        "if False:",
        _attack("a_job_definition_does_not_reach_out_of_its_container"),
    ),
    Mutant(
        "directories of the machine are not looked for",
        "scaler_batch.local.containers.wishes",
        'if any((volume.get("host") or {}).get("sourcePath") for volume in container.get("volumes") or ()):',
        "if False:",
        _attack("a_job_definition_does_not_reach_out_of_its_container"),
    ),
    Mutant(
        "others may use the state folder",
        _STATE,
        "if found.st_mode & 0o077:",
        "if False:",
        _attack("a_state_directory_that_others_can_write_to_is_refused"),
    ),
    Mutant(
        "the state folder may be a link",
        _STATE,
        "os.O_DIRECTORY | os.O_NOFOLLOW)",
        "os.O_DIRECTORY)",
        _attack("a_link_in_place_of_the_state_directory_is_not_followed"),
    ),
    Mutant("the state file may be a link", _STATE, "how | os.O_NOFOLLOW | os.O_NONBLOCK", "how | os.O_NONBLOCK", _LINK),
    Mutant("the state file may have two names", _STATE, " or found.st_nlink > 1:", ":", _LINK),
    Mutant(
        "any process is signalled",
        _STATE,
        "if not _has_open(running.pid, directory):",
        "if False:",
        _attack("down_signals_no_process_that_a_planted_file_names"),
    ),
    Mutant(
        "values are not quoted",
        "scaler_batch.local.environment",
        "{shlex.quote(value)}",
        '\\"{value}\\"',
        _attack("values_in_exports_are_values_and_names_are_names"),
    ),
    Mutant(
        "any name is exported",
        _STATE,
        "return _VARIABLE.fullmatch(name) is not None and",
        "return",
        _attack("values_in_exports_are_values_and_names_are_names"),
    ),
    Mutant(
        "values may have control characters",
        _STATE,
        " and value.isprintable()",
        "",
        _attack("no_control_characters_come_from_the_state_file"),
    ),
    Mutant(
        "others may read the file with the keys",
        "scaler_batch.local.cli",
        "return os.open(path, flags, 0o600)",
        "return os.open(path, flags, 0o644)",
        _attack("the_keys_are_the_users_alone_where_they_are_written"),
    ),
]

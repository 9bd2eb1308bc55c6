const shape = /^[A-Z_][A-Z0-9_]{0,63}$/

// Variables by which a loader, a shell or an interpreter runs other code, or finds other files, than the engine's own.
const dangerous =
  /^(PATH|HOME|SHELL|ENV|IFS|TMPDIR|(LD|DYLD|GCONV|PYTHON|NODE|PERL|RUBY|BASH|GIT|SSH|FLIGHTDECK)_.*|PYTHON.*|PERL5.*|RUBYOPT|RUBYLIB|SHELLOPTS|BASHOPTS|PS4|PROMPT_COMMAND|GLIBC_TUNABLES|JAVA_TOOL_OPTIONS|_JAVA_OPTIONS)$/

/** Why a secret may not have this name, or null. A secret is named after the variable that the engine sees. */
export function whyNotSecretName(name: string): string | null {
  if (!shape.test(name))
    return 'A secret is named like an environment variable: capital letters, digits and underscore, 64 at most.'
  return dangerous.test(name) ? `The variable ${name} would change which code the engine runs.` : null
}

/**
 * The completion scripts. They ask the program itself (`p2prc __complete`), by the name under which
 * it was typed, and hold no list of their own that could grow old.
 */

export const shells = ["bash", "zsh", "fish"] as const;
export type Shell = (typeof shells)[number];

export function completionScript(shell: Shell): string {
  switch (shell) {
    case "bash":
      return BASH;
    case "zsh":
      return ZSH;
    case "fish":
      return FISH;
  }
}

const BASH = `# p2prc: completion for bash
_p2prc() {
  local line
  COMPREPLY=()
  while IFS= read -r line; do
    if [ "$line" = ":files" ]; then
      compopt -o default 2>/dev/null
      return
    fi
    COMPREPLY+=("\${line%%$'\\t'*}")
  done < <("$1" __complete "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
}
complete -F _p2prc p2prc
`;

const ZSH = `#compdef p2prc
# p2prc: completion for zsh
_p2prc() {
  local line word tab=$'\\t'
  local -a described
  for line in "\${(@f)$("\${words[1]}" __complete "\${(@)words[2,CURRENT]}" 2>/dev/null)}"; do
    [[ -z $line ]] && continue
    if [[ $line == :files ]]; then
      _files
      return
    fi
    word="\${\${line%%$tab*}//:/\\\\:}"
    [[ $line == *$tab* ]] && word+=":\${line#*$tab}"
    described+=("$word")
  done
  _describe -t p2prc p2prc described
}
if [[ $funcstack[1] == _p2prc ]]; then
  _p2prc "$@"
else
  (( $+functions[compdef] )) || { autoload -Uz compinit && compinit }
  compdef _p2prc p2prc
fi
`;

const FISH = `# p2prc: completion for fish
function __p2prc_complete
  set -l typed (commandline -opc)
  set -l answer ($typed[1] __complete $typed[2..-1] (commandline -ct) 2>/dev/null)
  if test "$answer" = ":files"
    __fish_complete_path (commandline -ct)
  else
    printf '%s\\n' $answer
  end
end
complete -c p2prc -f -a '(__p2prc_complete)'
`;

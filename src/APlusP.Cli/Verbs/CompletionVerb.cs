using System.CommandLine;

namespace APlusP.Cli.Verbs;

/// <summary><c>aplusp completion</c>: scripts that let a shell complete by asking the program itself, through its <c>[suggest]</c> directive.</summary>
static class CompletionVerb
{
    const string Bash = """
        # bash completion for aplusp: source <(aplusp completion bash)
        _aplusp() {
            local IFS=$'\n'
            local cur="${COMP_WORDS[COMP_CWORD]}"
            COMPREPLY=($(compgen -W "$("${COMP_WORDS[0]}" "[suggest:${COMP_POINT}]" "${COMP_LINE}" 2>/dev/null)" -- "$cur"))
            [ "${#COMPREPLY[@]}" -gt 0 ] || COMPREPLY=($(compgen -f -- "$cur"))
        }
        complete -F _aplusp aplusp

        """;

    const string Zsh = """
        #compdef aplusp
        # zsh completion for aplusp: source <(aplusp completion zsh)
        _aplusp() {
            local -a words_found
            words_found=("${(@f)$(${words[1]} "[suggest:$((CURSOR))]" "$BUFFER" 2>/dev/null)}")
            compadd -a words_found || _files
        }
        compdef _aplusp aplusp

        """;

    const string Fish = """
        # fish completion for aplusp: aplusp completion fish | source
        complete -c aplusp -a '(aplusp "[suggest:"(string length -- (commandline -cp))"]" (commandline -cp) 2>/dev/null)'

        """;

    public static Command Create()
    {
        var shell = new Argument<string>("shell") { Description = "bash, zsh or fish." };
        shell.AcceptOnlyFromAmong("bash", "zsh", "fish");
        var command = new Command("completion", "Print a completion script; for bash: source <(aplusp completion bash).") { shell };
        command.SetAction(parsed => Console.Write(parsed.GetValue(shell) switch { "bash" => Bash, "zsh" => Zsh, _ => Fish }));
        return command;
    }
}

using System.Text;

namespace Nubabel.Api.Commands;

/// <summary>Asks whoever sits at the terminal.</summary>
internal static class Prompt
{
    /// <summary>A question that only yes answers; nobody at the terminal answers it with no.</summary>
    public static async Task<bool> Yes(string question, CancellationToken ct)
    {
        await Console.Error.WriteAsync($"{question} [y/N] ");
        var answer = await Console.In.ReadLineAsync(ct);
        return answer?.Trim().ToLowerInvariant() is "y" or "yes";
    }

    /// <summary>A line that is not shown while it is typed; from a pipe, its first line.</summary>
    public static async Task<string> Secret(string label, CancellationToken ct)
    {
        if (Console.IsInputRedirected) return await Console.In.ReadLineAsync(ct) ?? "";
        await Console.Error.WriteAsync(label);
        var typed = new StringBuilder();
        while (Console.ReadKey(intercept: true) is var key && key.Key != ConsoleKey.Enter)
        {
            if (key.Key == ConsoleKey.Backspace) typed.Length = Math.Max(0, typed.Length - 1);
            else if (key.KeyChar != '\0') typed.Append(key.KeyChar);
        }
        await Console.Error.WriteLineAsync();
        return typed.ToString();
    }
}

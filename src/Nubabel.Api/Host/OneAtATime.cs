using System.Collections.Concurrent;

namespace Nubabel.Api.Host;

/// <summary>What is dear, and what each caller does once at a time in a process.</summary>
/// <param name="code">What the second hears.</param>
internal sealed class OneAtATime(string code, string detail)
{
    private const int RetryAfterSeconds = 5;
    private readonly ConcurrentDictionary<Guid, bool> under = new();

    /// <summary>Takes the caller's place until the request is over, however it ends.</summary>
    /// <exception cref="Problem">It is taken.</exception>
    public void Enter(HttpContext http, Guid caller)
    {
        if (!under.TryAdd(caller, true)) throw Problem.RetryLater(code, detail, RetryAfterSeconds);
        http.Response.OnCompleted(() => Task.FromResult(under.TryRemove(caller, out _)));
    }
}

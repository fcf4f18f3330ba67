namespace Nubabel.Domain;

/// <summary>Why a command is refused; the edge maps it to a status.</summary>
public enum RefusalKind
{
    /// <summary>The value is well formed and not acceptable: 422.</summary>
    Invalid,

    /// <summary>It does not exist for this caller: 404.</summary>
    Missing,

    /// <summary>The state does not allow it: 409.</summary>
    Conflict,

    /// <summary>The caller may not: 403.</summary>
    Denied,
}

/// <summary>A command that is refused. Thrown by decisions and value types, caught once at the edge.</summary>
/// <param name="kind">Decides the status.</param>
/// <param name="code">Stable and documented, <c>slice.reason</c>.</param>
/// <param name="message">One sentence for a developer; no personal data, no internals.</param>
/// <param name="at">The member at fault, camelCase, where there is one.</param>
public sealed class Refused(RefusalKind kind, string code, string message, string? at = null) : Exception(message)
{
    public RefusalKind Kind => kind;
    public string Code => code;
    public string? Field => at;
}

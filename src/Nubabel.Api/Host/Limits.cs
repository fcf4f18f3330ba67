using Nubabel.Api.Host.Rates;

namespace Nubabel.Api.Host;

/// <summary>The bounds of one request, and how many requests are let in (<c>Limits:*</c>). What they are answered with stands in docs/problems.md.</summary>
public sealed record Limits
{
    /// <summary>Deeper than this no configuration goes: it bounds the stack that reading uses.</summary>
    public const int MostJsonDepth = 32;

    public int BodyBytes { get; init; } = 1024 * 1024;
    public int JsonDepth { get; init; } = MostJsonDepth;
    public int UrlBytes { get; init; } = 8 * 1024;
    public int HeaderBytes { get; init; } = 16 * 1024;
    public int ArrayItems { get; init; } = 1000;
    public int RequestSeconds { get; init; } = 30;

    /// <summary>Failed sign-ins of one organization and address within the window, after which nobody signs in with it for as long.</summary>
    public int FailedSignIns { get; init; } = 10;
    public int SignInWindowSeconds { get; init; } = 15 * 60;

    /// <summary>Each user, operator and API key.</summary>
    public Allowance User { get; init; } = new(1200, 300);

    /// <summary>An organization's users and keys together.</summary>
    public Allowance Organization { get; init; } = new(6000, 1500);

    /// <summary>An address that shows no credential.</summary>
    public Allowance Address { get; init; } = new(300, 300);

    /// <summary>Wrong credentials of one address.</summary>
    public Allowance WrongCredentials { get; init; } = new(300, 300);

    /// <summary>Webhooks of one source.</summary>
    public Allowance Webhooks { get; init; } = new(1200, 300);
}

namespace Nubabel.Api.Host.Mail;

/// <summary>How the connection to the mail server is protected.</summary>
public enum MailSecurity
{
    /// <summary>Not at all.</summary>
    None,

    /// <summary>Begun in the clear and protected before anything is said; never carried on without.</summary>
    StartTls,

    /// <summary>From the first byte.</summary>
    Tls,
}

/// <summary>Where mail goes and what it says of itself. Without a host nothing is sent: in Development it is written to files.</summary>
public sealed record MailSettings
{
    public string? Host { get; init; }
    public int Port { get; init; }
    public string? User { get; init; }
    public string? Password { get; init; }
    public required Mailbox From { get; init; }
    public MailSecurity Security { get; init; }
    public required string LinkBase { get; init; }

    /// <summary>
    /// A link to a page of the product. The token stands behind <c>#</c>: browsers send that part to no server, so it is in nobody's log and no referrer.
    /// </summary>
    public string Link(string page, string token) => $"{LinkBase}/{page}#{token}";

    // A record prints its members; one of these is a password.
    public override string ToString() => $"Mail by {Host ?? "file"}";
}

/// <summary>A sender: <c>Nubabel &lt;no-reply@example.com&gt;</c> or an address alone.</summary>
public sealed record Mailbox(string? Name, string Address)
{
    public string Domain => Address[(Address.LastIndexOf('@') + 1)..];

    public static Mailbox? Parse(string text)
    {
        var open = text.IndexOf('<', StringComparison.Ordinal);
        var (name, address) = open < 0 ? (null, text) : (text[..open].Trim().Trim('"'), text.EndsWith('>') ? text[(open + 1)..^1] : "");
        if (name?.Any(c => char.IsControl(c) || c is '"' or '\\' or '<' or '>') == true) return null;
        return Valid(address) is { } valid ? new Mailbox(string.IsNullOrEmpty(name) ? null : name, valid) : null;

        static string? Valid(string text) => Nubabel.Domain.Email.TryParse(text, out var email) ? email.Value : null;
    }

    public override string ToString() => "(mailbox)";
}

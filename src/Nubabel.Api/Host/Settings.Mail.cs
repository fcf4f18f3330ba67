using Nubabel.Api.Host.Mail;

namespace Nubabel.Api.Host;

public sealed partial record Settings
{
    public required MailSettings Mail { get; init; }

    private static MailSettings MailOf(Values values, string issuer, List<string> errors)
    {
        var security = (values.Text(MailProtection) ?? MailProtection.Default) switch { "none" => MailSecurity.None, "tls" => MailSecurity.Tls, _ => MailSecurity.StartTls };
        var (host, user) = (values.Text(MailHost), values.Text(MailUser));
        if (host is not null && values.Text(MailFrom) is null) errors.Add($"{MailFrom.Variable} is required where {MailHost.Variable} is set.");
        if (user is not null && security == MailSecurity.None && host is not ("localhost" or "127.0.0.1" or "::1"))
            errors.Add($"{MailProtection.Variable} must be starttls or tls where {MailUser.Variable} is set, unless the mail server is on this machine.");
        if (user is null != values.Text(MailPassword) is null) errors.Add($"{MailUser.Variable} and {MailPassword.Variable} belong together.");
        return new MailSettings
        {
            Host = host,
            Port = values.Number(MailPort),
            User = user,
            Password = values.Text(MailPassword),
            From = Mailbox.Parse(values.Text(MailFrom) ?? MailFrom.Default)!,
            Security = security,
            LinkBase = (values.Text(MailLinkBase) ?? issuer).TrimEnd('/'),
        };
    }
}

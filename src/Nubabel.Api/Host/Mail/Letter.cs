namespace Nubabel.Api.Host.Mail;

/// <summary>A mail to one person, as the slices write it: plain sentences and at most one link. <see cref="Mime"/> makes text and HTML of it.</summary>
/// <param name="To">One address.</param>
/// <param name="Subject">One line.</param>
/// <param name="Paragraphs">Plain text; nothing in it is read as markup.</param>
/// <param name="ActionText">What the link does: "Set a new password".</param>
/// <param name="ActionLink">An absolute address; see <see cref="MailSettings.Link"/>.</param>
public sealed record Letter(string To, string Subject, IReadOnlyList<string> Paragraphs, string? ActionText = null, string? ActionLink = null)
{
    // A record prints its members; these must not be in a log.
    public override string ToString() => "(letter)";
}

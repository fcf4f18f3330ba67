using Nubabel.Domain;
using Nubabel.Domain.Consents;
using Nubabel.Domain.ProcessingRecords;

namespace Nubabel.Api.ProcessingRecords;

/// <summary>
/// What every operator of this software, and every organization on it, does with personal data: records to begin with. They are suggestions: each is looked at, completed (contact,
/// recipients) and sent as it then is.
/// </summary>
internal static class ProcessingTemplates
{
    private static readonly string[] Measures =
    [
        "personal values are encrypted with a key for each person, which erasure destroys", "tenants are separated by row-level security", "every change stands in a chained audit trail",
        "roles and permissions, sessions that can be revoked", "TLS to clients, database and mail server",
    ];

    public static IReadOnlyList<WantedProcessingRecord> OfOrganizations { get; } =
    [
        Of("Accounts of members", ProcessingRole.Controller, LawfulBasis.Contract, ["letting members work with the product"], ["members", "people who are invited"],
            ["name", "e-mail address", "role", "password, as a hash", "devices"], ["the operator of the platform", "the mail provider"], "until the account is erased"),
        Of("Sign-ins and security", ProcessingRole.Controller, LawfulBasis.LegitimateInterests, ["keeping strangers out", "finding misuse"], ["members"], ["time of each sign-in", "IP address", "browser"],
            ["the operator of the platform"], "until the account is erased"),
        Of("Audit trail", ProcessingRole.Controller, LawfulBasis.LegalObligation, ["proving who did what"], ["members"], ["actions with their time", "IP address", "browser"], ["the operator of the platform"],
            "as long as the organization exists; personal values until the person is erased"),
        Of("Consents", ProcessingRole.Controller, LawfulBasis.LegalObligation, ["proving what members have agreed to (Art. 7(1))"], ["members"], ["decisions with their time and text"], ["the operator of the platform"],
            "pseudonymously beyond erasure"),
    ];

    public static IReadOnlyList<WantedProcessingRecord> OfThePlatform { get; } =
    [
        Of("Hosting of organizations' data", ProcessingRole.Processor, null, ["storing and serving what organizations enter"], ["members of organizations"], ["whatever organizations enter"], ["the hosting provider"],
            "until the organization is closed or the person is erased", ["each organization with an account"]),
        Of("Mail to members", ProcessingRole.Processor, null, ["invitations, links for a new password, notices of breaches"], ["members of organizations", "people who are invited"], ["name", "e-mail address"], ["the mail provider"],
            "until the letter is delivered or given up", ["each organization with an account"]),
        Of("Operators", ProcessingRole.Controller, LawfulBasis.LegitimateInterests, ["running the platform", "proving who did what"], ["operators"], ["e-mail address", "actions with their time", "IP address"],
            ["the hosting provider"], "until the operator is erased"),
        Of("Register of breaches", ProcessingRole.Controller, LawfulBasis.LegalObligation, ["documenting breaches (Art. 33(5))", "telling who is affected"], ["people whom a breach affects", "people who report one"],
            ["ids of affected people", "what a report names"], ["the supervisory authority"], "as long as the authority may ask"),
        Of("Backups", ProcessingRole.Controller, LawfulBasis.LegalObligation, ["restoring the platform after a loss (Art. 32(1)(c))"], ["members of organizations", "operators"],
            ["all of the above, encrypted"], ["the hosting provider"], "keys apart from data, and for a shorter time"),
    ];

    private static WantedProcessingRecord Of(
        string name, ProcessingRole role, LawfulBasis? basis, string[] purposes, string[] people, string[] data, string[] recipients, string retention, string[]? onBehalfOf = null) =>
        new(Phrase.Parse(name), role, Lines(purposes), Lines(people), Lines(data), Lines(recipients), [], new ProcessingRetention(Phrase.Parse(retention)), Lines(Measures), onBehalfOf is null ? null : Lines(onBehalfOf),
            null, basis);

    private static Phrase[] Lines(string[] texts) => [.. texts.Select(Phrase.Parse)];
}

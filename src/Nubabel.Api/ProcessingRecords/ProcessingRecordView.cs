using Nubabel.Domain;
using Nubabel.Domain.Consents;
using Nubabel.Domain.ProcessingRecords;
using Nubabel.Projections.ProcessingRecords;

namespace Nubabel.Api.ProcessingRecords;

/// <summary>A record as it is written: article 30(1) for a controller, 30(2) for a processor.</summary>
/// <param name="OnBehalfOf">The controllers, where it is done for others.</param>
/// <param name="Contact">Who answers for it, and the data protection officer.</param>
public sealed record WantedProcessingRecord(
    Phrase Name, ProcessingRole Role, IReadOnlyList<Phrase> Purposes, IReadOnlyList<Phrase> PeopleCategories, IReadOnlyList<Phrase> DataCategories, IReadOnlyList<Phrase> Recipients,
    IReadOnlyList<ThirdCountryTransfer> Transfers, ProcessingRetention Retention, IReadOnlyList<Phrase> SecurityMeasures, IReadOnlyList<Phrase>? OnBehalfOf = null, Phrase? Contact = null,
    LawfulBasis? LawfulBasis = null)
{
    internal const string Members = """
        "name":"Accounts","role":"controller","purposes":["letting members work with the product"],"peopleCategories":["members"],"dataCategories":["name","e-mail address"],"recipients":["the hosting provider"],
        "transfers":[{"country":"United States","recipient":"the mail provider","safeguards":"standard contractual clauses"}],"retention":{"text":"until the account is erased"},
        "securityMeasures":["personal values are encrypted with a key for each person"],"contact":"privacy@example.com","lawfulBasis":"contract"
        """;

    internal const string Example = $$"""{{{Members}}}""";

    // A record prints its members; the contact may be a person.
    public override string ToString() => "(processing record)";

    internal ProcessingDescription With(Personal? contact) =>
        new(Name, Role, Purposes, PeopleCategories, DataCategories, Recipients, Transfers, Retention, SecurityMeasures, OnBehalfOf, contact, LawfulBasis);
}

/// <summary>A record as it is read.</summary>
public sealed record ProcessingRecordView(
    Id<ProcessingRecord> Id, ProcessingRecordStatus Status, int Revision, Phrase Name, ProcessingRole Role, IReadOnlyList<Phrase> Purposes, IReadOnlyList<Phrase> PeopleCategories,
    IReadOnlyList<Phrase> DataCategories, IReadOnlyList<Phrase> Recipients, IReadOnlyList<ThirdCountryTransfer> Transfers, ProcessingRetention Retention, IReadOnlyList<Phrase> SecurityMeasures,
    IReadOnlyList<Phrase>? OnBehalfOf, Personal? Contact, LawfulBasis? LawfulBasis, DateTimeOffset CreatedAt, DateTimeOffset ChangedAt, DateTimeOffset? ArchivedAt)
{
    internal const string Example = $$"""
        {"id":"01936d5e-7c2a-7b1e-9d3f-2f6a1c0b4e55","status":"active","revision":1,{{WantedProcessingRecord.Members}},"createdAt":"2026-11-21T08:15:30.123456Z","changedAt":"2026-11-21T08:15:30.123456Z"}
        """;

    internal static ProcessingRecordView Of(ProcessingRecordRow row)
    {
        var d = row.Description;
        return new ProcessingRecordView(
            row.Id, row.Status, row.Revision, d.Name, d.Role, d.Purposes, d.PeopleCategories, d.DataCategories, d.Recipients, d.Transfers, d.Retention, d.SecurityMeasures, d.OnBehalfOf, d.Contact,
            d.LawfulBasis, row.CreatedAt, row.ChangedAt, row.ArchivedAt);
    }
}

using Nubabel.Domain.ProcessingRecords;
using Nubabel.Testing;

namespace Nubabel.Domain.Tests.ProcessingRecords;

public sealed class ProcessingRecordSpecs : Spec<ProcessingRecord>
{
    private static readonly ProcessingDescription Accounts = new(
        Phrase.Parse("Accounts"), ProcessingRole.Controller, [Phrase.Parse("work")], [Phrase.Parse("members")], [Phrase.Parse("name")], [],
        [new ThirdCountryTransfer(Phrase.Parse("United States"), Phrase.Parse("mail"), Phrase.Parse("clauses"))], new ProcessingRetention(Phrase.Parse("a year")), [], Contact: new Personal("x", "AAAA"));

    private static readonly ProcessingDescription Other = Accounts with { Recipients = [Phrase.Parse("the mail provider")] };

    [Fact]
    public void A_record_is_created_once_and_revised()
    {
        Given().When(new CreateProcessingRecord(Accounts)).Then(new ProcessingRecordCreated(Accounts));
        Given(new ProcessingRecordCreated(Accounts)).When(new CreateProcessingRecord(Other)).Refused("processing_record.exists", RefusalKind.Conflict);
        Given(new ProcessingRecordCreated(Accounts)).When(new ReviseProcessingRecord(Other)).Then(new ProcessingRecordRevised(Other));
        Given(new ProcessingRecordCreated(Accounts)).When(new ReviseProcessingRecord(Accounts)).Nothing();
        Given().When(new ReviseProcessingRecord(Accounts)).Refused("processing_record.missing", RefusalKind.Missing);
        Assert.Equal(2, Given(new ProcessingRecordCreated(Accounts), new ProcessingRecordRevised(Other)).State.Revision);
    }

    [Fact]
    public void An_archived_one_takes_no_changes_until_it_is_restored()
    {
        Given(new ProcessingRecordCreated(Accounts)).When(new ArchiveProcessingRecord()).Then(new ProcessingRecordArchived());
        Given(new ProcessingRecordCreated(Accounts), new ProcessingRecordArchived()).When(new ReviseProcessingRecord(Other)).Refused("processing_record.archived", RefusalKind.Conflict);
        Given(new ProcessingRecordCreated(Accounts), new ProcessingRecordArchived()).When(new RestoreProcessingRecord()).Then(new ProcessingRecordRestored());
        Given(new ProcessingRecordCreated(Accounts)).When(new RestoreProcessingRecord()).Nothing();
    }

    [Fact]
    public void It_says_what_article_30_asks_for()
    {
        Given().When(new CreateProcessingRecord(Accounts with { Purposes = [] })).Refused("processing_record.invalid", RefusalKind.Invalid);
        Given().When(new CreateProcessingRecord(Accounts with { Role = ProcessingRole.Processor })).Refused("processing_record.invalid", RefusalKind.Invalid);
        var done = Accounts with { Role = ProcessingRole.Processor, OnBehalfOf = [Phrase.Parse("Acme")] };
        Given().When(new CreateProcessingRecord(done)).Then(new ProcessingRecordCreated(done));
        var many = Enumerable.Range(0, ProcessingDescription.Most + 1).Select(i => Phrase.Parse($"p{i}")).ToArray();
        Given().When(new CreateProcessingRecord(Accounts with { DataCategories = many })).Refused("processing_record.invalid", RefusalKind.Invalid);
    }
}

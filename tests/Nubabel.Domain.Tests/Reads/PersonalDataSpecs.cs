using Nubabel.Domain.Reads;
using Nubabel.Testing;

namespace Nubabel.Domain.Tests.Reads;

public sealed class PersonalDataSpecs : Spec<PersonalData>
{
    private const string Operation = "GET /api/members";
    private static readonly string[] Subjects = ["user-0198aaaa-0000-7000-8000-000000000001"];
    private static readonly ReadPurpose Case = ReadPurpose.Parse("support:4711");
    private static readonly string[] Filter = ["action=device.renamed"];

    [Fact]
    public void A_read_is_recorded() => Given().When(new RecordRead(Operation, Subjects, 3, Case)).Then(new PersonalDataRead(Operation, Subjects, 3, Case));

    [Fact]
    public void The_same_again_is_recorded_again() => Given(new PersonalDataRead(Operation, Subjects)).When(new RecordRead(Operation, Subjects)).Then(new PersonalDataRead(Operation, Subjects));

    [Fact]
    public void An_export_is_recorded() =>
        Given().When(new RecordExport("GET /api/audit-logs.csv", 42, Filter, Case)).Then(new PersonalDataExported("GET /api/audit-logs.csv", 42, Filter, Case));

    [Fact]
    public void A_record_of_reads_holds_nothing() => Given(new PersonalDataRead(Operation, Subjects)).Holds();

    [Theory]
    [InlineData("4711")]
    [InlineData("support:4711/b#2")]
    public void A_case_is_a_purpose(string text) => Assert.Equal(text, ReadPurpose.Parse(text).Value);

    [Theory]
    [InlineData("")]
    [InlineData("Ada Lovelace asked for it")]
    [InlineData("ada@example.org")]
    [InlineData("4711\n")]
    public void Prose_and_addresses_are_no_purpose(string text) => Assert.False(ReadPurpose.TryParse(text, out _));

    [Fact]
    public void A_purpose_has_a_bound()
    {
        Assert.True(ReadPurpose.TryParse(new string('a', ReadPurpose.MaximumCharacters), out _));
        Assert.False(ReadPurpose.TryParse(new string('a', ReadPurpose.MaximumCharacters + 1), out _));
    }
}

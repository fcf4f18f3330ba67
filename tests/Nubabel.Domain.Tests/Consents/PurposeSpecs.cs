using Nubabel.Domain.Consents;
using Nubabel.Testing;

namespace Nubabel.Domain.Tests.Consents;

public sealed class PurposeSpecs : Spec<Purpose>
{
    private static readonly PurposeKey Key = PurposeKey.Parse("newsletter");
    private static readonly Phrase Title = Phrase.Parse("Our newsletter");
    private static readonly Prose Monthly = Prose.Parse("Once a month."), Weekly = Prose.Parse("Once a week.");

    [Fact]
    public void A_purpose_is_declared_once()
    {
        Given().When(Declare()).Then(Declared());
        Given(Declared()).When(Declare()).Nothing();
        Given(Declared()).When(Declare() with { Text = Weekly }).Refused("purpose.key_taken", RefusalKind.Conflict);
        Given(Declared()).When(Declare() with { Required = true }).Refused("purpose.key_taken", RefusalKind.Conflict);
        Given(Declared(), Rewritten(2)).When(Declare()).Refused("purpose.key_taken", RefusalKind.Conflict);
        Given(Declared(), new PurposeRetired()).When(Declare()).Refused("purpose.retired", RefusalKind.Conflict);
    }

    [Fact]
    public void Other_words_or_another_basis_are_a_new_text_and_the_requirement_is_not()
    {
        Given(Declared()).When(new ChangePurpose(Text: Weekly)).Then(Rewritten(2));
        Given(Declared()).When(new ChangePurpose(Title: Phrase.Parse("News"))).Then(new PurposeRewritten(2, Phrase.Parse("News"), Monthly, LawfulBasis.Consent));
        Given(Declared()).When(new ChangePurpose(LawfulBasis: LawfulBasis.Contract)).Then(new PurposeRewritten(2, Title, Monthly, LawfulBasis.Contract));
        Given(Declared()).When(new ChangePurpose(Required: true)).Then(new PurposeRequirementSet(true));
        Given(Declared()).When(new ChangePurpose(Title, Monthly, LawfulBasis.Consent, false)).Nothing();
        Given(Declared(), Rewritten(2)).When(new ChangePurpose(Text: Monthly, Required: true)).Then(new PurposeRewritten(3, Title, Monthly, LawfulBasis.Consent), new PurposeRequirementSet(true));
    }

    [Fact]
    public void Once_retired_it_never_comes_back()
    {
        Given(Declared()).When(new RetirePurpose()).Then(new PurposeRetired());
        Given(Declared(), new PurposeRetired()).When(new ChangePurpose(Required: true)).Refused("purpose.retired", RefusalKind.Conflict);
        Given().When(new RetirePurpose()).Refused("purpose.missing", RefusalKind.Missing);
        Given().When(new ChangePurpose()).Refused("purpose.missing", RefusalKind.Missing);
    }

    [Fact]
    public void Texts_have_an_end() =>
        Given([Declared(), .. Enumerable.Range(2, Purpose.MostTexts - 1).Select(v => Rewritten(v))]).When(new ChangePurpose(Text: Monthly)).Refused("purpose.texts_limit", RefusalKind.Conflict);

    /// <summary>Anybody can compute it: printf 'Our newsletter\n\nOnce a month.' | sha256sum</summary>
    [Fact]
    public void The_hash_is_that_of_the_words() =>
        Assert.Equal("2632b28925a3f906ebc1f506c50056e1dd84997c3f6b7c1dfb2fd13fb1237407", Given(Declared()).State.Text.Hash);

    [Theory]
    [InlineData(LawfulBasis.Consent, false, true, false, false)]
    [InlineData(LawfulBasis.Contract, true, true, true, true)]
    [InlineData(LawfulBasis.LegalObligation, true, true, true, true)]
    [InlineData(LawfulBasis.VitalInterests, true, true, true, true)]
    [InlineData(LawfulBasis.PublicTask, true, true, true, false)]
    [InlineData(LawfulBasis.LegitimateInterests, true, true, true, false)]
    public void What_is_allowed_depends_on_the_basis(LawfulBasis basis, bool undecided, bool given, bool outdated, bool withdrawn)
    {
        var purpose = Given(Declared(), new PurposeRewritten(2, Title, Weekly, basis)).State;
        Assert.Equal((undecided, given, outdated, withdrawn),
            (purpose.Allows(null), purpose.Allows(new ConsentChoice(true, 2)), purpose.Allows(new ConsentChoice(true, 1)), purpose.Allows(new ConsentChoice(false, 2))));
        Assert.Equal((ConsentState.None, ConsentState.Given, ConsentState.Outdated, ConsentState.Withdrawn),
            (purpose.StateOf(null), purpose.StateOf(new ConsentChoice(true, 2)), purpose.StateOf(new ConsentChoice(true, 1)), purpose.StateOf(new ConsentChoice(false, 2))));
        Assert.False(Given(Declared(), new PurposeRetired()).State.Allows(new ConsentChoice(true, 1)));
        Assert.False(Purpose.Initial.Allows(new ConsentChoice(true, 1)));
    }

    [Theory]
    [InlineData("newsletter", true)]
    [InlineData("a.b_c-1", true)]
    [InlineData("", false)]
    [InlineData("News", false)]
    [InlineData("-a", false)]
    [InlineData("a/b", false)]
    [InlineData("a\n", false)]
    public void A_key_and_a_channel_are_short_words(string text, bool isOne) => Assert.Equal((isOne, isOne), (PurposeKey.TryParse(text, out _), ConsentChannel.TryParse(text, out _)));

    [Fact]
    public void A_text_has_lines_of_its_own_and_no_other_control_characters()
    {
        Assert.Equal("One\n\nTwo three", Prose.Parse("\r\n One \r\n\r\nTwo\tthree \n").Value);
        foreach (var bad in new[] { "", " \n ", "a\0b", "a\u001bb", new string('a', 10_001), new string('\n', 50_000) }) Assert.False(Prose.TryParse(bad, out _));
        foreach (var bad in new[] { "", "a\nb", new string('a', 301) }) Assert.False(Phrase.TryParse(bad, out _));
    }

    private static DeclarePurpose Declare() => new(Key, Title, Monthly, LawfulBasis.Consent);
    private static PurposeDeclared Declared() => new(Key, Title, Monthly, LawfulBasis.Consent, false);
    private static PurposeRewritten Rewritten(int version) => new(version, Title, version % 2 == 0 ? Weekly : Prose.Parse($"Text {version}"), LawfulBasis.Consent);
}

using Nubabel.Domain.Flags;
using Nubabel.Domain.Organizations;
using Nubabel.Testing;

namespace Nubabel.Domain.Tests.Flags;

public sealed class FlagSpecs : Spec<Flag>
{
    private static readonly Id<Organization> Acme = Id<Organization>.Parse("019a0000-0000-7000-8000-00000000000a");
    private static readonly Id<Organization> Bolt = Id<Organization>.Parse("019a0000-0000-7000-8000-00000000000b");

    [Fact]
    public void A_flag_is_created() =>
        Given().When(new CreateFlag(Key, false, Text("The dark theme"))).Then(new FlagCreated(Key, false, Text("The dark theme")));

    [Fact]
    public void A_flag_needs_no_description() => Given().When(new CreateFlag(Key, true)).Then(new FlagCreated(Key, true));

    [Fact]
    public void An_empty_description_is_none() => Given().When(new CreateFlag(Key, true, Text(" "))).Then(new FlagCreated(Key, true));

    [Fact]
    public void Creating_it_once_more_in_the_same_way_changes_nothing() => Given(Created()).When(new CreateFlag(Key, true)).Nothing();

    [Fact]
    public void A_key_is_not_used_for_a_flag_that_is_otherwise() =>
        Given(Created(), new FlagDisabled()).When(new CreateFlag(Key, true)).Refused("flag.exists", RefusalKind.Conflict);

    [Fact]
    public void A_key_is_not_used_for_a_flag_that_has_rules() =>
        Given(Created(), new FlagRuleAdded(Allow(1, Acme))).When(new CreateFlag(Key, true)).Refused("flag.exists", RefusalKind.Conflict);

    [Fact]
    public void The_key_of_an_archived_flag_is_not_used_again() =>
        Given(Created(), new FlagArchived()).When(new CreateFlag(Key, true)).Refused("flag.archived", RefusalKind.Conflict);

    [Fact]
    public void A_flag_is_disabled() => Given(Created()).When(new ChangeFlag(Enabled: false)).Then(new FlagDisabled());

    [Fact]
    public void A_flag_is_enabled() => Given(Created(), new FlagDisabled()).When(new ChangeFlag(Enabled: true)).Then(new FlagEnabled());

    [Fact]
    public void A_flag_is_described_and_disabled_at_once() =>
        Given(Created()).When(new ChangeFlag(Text("Soon"), false)).Then(new FlagDescribed(Text("Soon")), new FlagDisabled());

    [Fact]
    public void A_description_is_taken_away() => Given(Created(), new FlagDescribed(Text("Soon"))).When(new ChangeFlag(Text(""))).Then(new FlagDescribed(Text("")));

    [Fact]
    public void What_is_so_already_is_no_change() => Given(Created(), new FlagDescribed(Text("Soon"))).When(new ChangeFlag(Text(" Soon "), true)).Nothing();

    [Fact]
    public void A_rule_comes_behind_the_others()
    {
        Given(Created(), new FlagRuleAdded(Allow(1, Acme))).When(new AddFlagRule(Share(2, 12.5m))).Then(new FlagRuleAdded(Share(2, 12.5m)));
        Assert.Equal([Allow(1, Acme), Share(2, 12.5m)], Given(Created(), new FlagRuleAdded(Allow(1, Acme)), new FlagRuleAdded(Share(2, 12.5m))).State.Rules);
    }

    [Fact]
    public void An_organization_is_in_a_rule_once() => Given(Created()).When(new AddFlagRule(Allow(1, Acme, Bolt, Acme))).Then(new FlagRuleAdded(Allow(1, Acme, Bolt)));

    [Fact]
    public void A_rules_id_is_not_used_for_another() =>
        Given(Created(), new FlagRuleAdded(Allow(1, Acme))).When(new AddFlagRule(Allow(1, Bolt))).Refused("flag.rule_exists", RefusalKind.Conflict);

    public static TheoryData<FlagRule> Misfits() =>
    [
        Allow(1), new(Rule(1), FlagRuleType.Allow), new(Rule(1), FlagRuleType.Block, null, Percentage.Of(5)), new(Rule(1), FlagRuleType.Allow, [Acme], Percentage.Of(5)),
        new(Rule(1), FlagRuleType.Percentage), new(Rule(1), FlagRuleType.Percentage, [Acme], Percentage.Of(5)), new(Rule(1), FlagRuleType.Percentage, [], Percentage.Of(5)),
    ];

    [Theory]
    [MemberData(nameof(Misfits))]
    public void The_members_of_a_rule_fit_its_type(FlagRule rule)
    {
        Given(Created()).When(new AddFlagRule(rule)).Refused("flag.rule_invalid", RefusalKind.Invalid);
        Given(Created()).When(new ReplaceFlagRules([rule])).Refused("flag.rule_invalid", RefusalKind.Invalid);
    }

    [Fact]
    public void Rules_are_replaced_as_a_whole() =>
        Given(Created(), new FlagRuleAdded(Allow(1, Acme))).When(new ReplaceFlagRules([Share(2, 1), Allow(1, Acme)])).Then(new FlagRulesReplaced([Share(2, 1), Allow(1, Acme)]));

    [Fact]
    public void All_rules_are_taken_away() => Given(Created(), new FlagRuleAdded(Allow(1, Acme))).When(new ReplaceFlagRules([])).Then(new FlagRulesReplaced([]));

    [Fact]
    public void Rules_that_say_the_same_under_other_ids_are_no_change() =>
        Given(Created(), new FlagRulesReplaced([Allow(1, Acme), Share(2, 1)])).When(new ReplaceFlagRules([Allow(3, Acme), Share(4, 1)])).Nothing();

    [Fact]
    public void Two_rules_do_not_have_one_id() =>
        Given(Created()).When(new ReplaceFlagRules([Share(1, 1), Share(1, 2)])).Refused("flag.rule_exists", RefusalKind.Conflict);

    [Fact]
    public void A_flag_has_a_bounded_number_of_rules()
    {
        FlagRule[] most = [.. Enumerable.Range(1, Flag.MostRules).Select(n => Share(n, 1))];
        Given(Created(), new FlagRulesReplaced(most)).When(new AddFlagRule(Share(99, 2))).Refused("flag.too_many_rules", RefusalKind.Conflict);
        Given(Created()).When(new ReplaceFlagRules([.. most, Share(99, 2)])).Refused("flag.too_many_rules", RefusalKind.Conflict);
    }

    [Fact]
    public void The_rules_of_a_flag_name_a_bounded_number_of_organizations()
    {
        Id<Organization>[] many = [.. Enumerable.Range(1, Flag.MostOrganizations).Select(n => new Id<Organization>(new Guid(n, 0, 0, new byte[8])))];
        Given(Created(), new FlagRuleAdded(Allow(1, many))).When(new AddFlagRule(Allow(2, Acme))).Refused("flag.too_many_rules", RefusalKind.Conflict);
    }

    [Fact]
    public void A_rule_is_removed_once() =>
        Given(Created(), new FlagRuleAdded(Allow(1, Acme))).When(new RemoveFlagRule(Rule(1))).ThenRefusedAgain("flag.rule_missing", new FlagRuleRemoved(Rule(1)));

    [Fact]
    public void An_override_is_set() =>
        Given(Created()).When(new SetFlagOverride(Acme, false, Noon.AddHours(1))).Then(new FlagOverrideSet(Acme, false, Noon.AddHours(1)));

    [Fact]
    public void An_override_may_last() => Given(Created()).When(new SetFlagOverride(Acme, true)).Then(new FlagOverrideSet(Acme, true));

    [Fact]
    public void An_override_is_replaced_by_another()
    {
        Given(Created(), new FlagOverrideSet(Acme, true)).When(new SetFlagOverride(Acme, false)).Then(new FlagOverrideSet(Acme, false));
        Assert.Equal([new FlagOverride(Bolt, true), new FlagOverride(Acme, false)],
            Given(Created(), new FlagOverrideSet(Acme, true), new FlagOverrideSet(Bolt, true), new FlagOverrideSet(Acme, false)).State.Overrides);
    }

    [Fact]
    public void An_override_that_has_expired_is_not_set() =>
        Given(Created()).When(new SetFlagOverride(Acme, true, Noon)).Refused("flag.override_expired", RefusalKind.Invalid);

    [Fact]
    public void An_override_that_was_set_is_the_same_command_after_it_has_expired() =>
        Given(Created(), new FlagOverrideSet(Acme, true, Noon)).At(Noon.AddDays(1)).When(new SetFlagOverride(Acme, true, Noon)).Nothing();

    [Fact]
    public void A_flag_has_a_bounded_number_of_overrides()
    {
        Event<Flag>[] most = [Created(), .. Enumerable.Range(1, Flag.MostOverrides).Select(n => new FlagOverrideSet(new Id<Organization>(new Guid(n, 0, 0, new byte[8])), true))];
        Given(most).When(new SetFlagOverride(Acme, true)).Refused("flag.too_many_overrides", RefusalKind.Conflict);
        Given([.. most, new FlagOverrideRemoved(new Id<Organization>(new Guid(1, 0, 0, new byte[8])))]).When(new SetFlagOverride(Acme, true)).Then(new FlagOverrideSet(Acme, true));
    }

    [Fact]
    public void An_override_is_removed_once() =>
        Given(Created(), new FlagOverrideSet(Acme, true)).When(new RemoveFlagOverride(Acme)).ThenRefusedAgain("flag.override_missing", new FlagOverrideRemoved(Acme));

    [Fact]
    public void A_flag_is_archived() => Given(Created()).When(new ArchiveFlag()).Then(new FlagArchived());

    [Fact]
    public void An_archived_flag_is_archived_already() => Given(Created(), new FlagArchived()).When(new ArchiveFlag()).Nothing();

    public static TheoryData<Command<Flag>> Changes() =>
    [
        new ChangeFlag(Enabled: false), new AddFlagRule(Allow(1, Acme)), new ReplaceFlagRules([]), new RemoveFlagRule(Rule(1)), new SetFlagOverride(Acme, true),
        new RemoveFlagOverride(Acme),
    ];

    [Theory]
    [MemberData(nameof(Changes))]
    public void A_flag_that_never_was_is_missing(Command<Flag> change) => Given().When(change).Refused("flag.missing", RefusalKind.Missing);

    [Fact]
    public void A_flag_that_never_was_is_not_archived() => Given().When(new ArchiveFlag()).Refused("flag.missing", RefusalKind.Missing);

    [Theory]
    [MemberData(nameof(Changes))]
    public void An_archived_flag_takes_no_more_changes(Command<Flag> change) =>
        Given(Created(), new FlagArchived()).When(change).Refused("flag.archived", RefusalKind.Conflict);

    private static FlagKey Key => FlagKey.Parse("dark-mode");
    private static FlagCreated Created() => new(Key, true);
    private static FlagDescription Text(string text) => FlagDescription.Parse(text);
    private static Id<FlagRule> Rule(int number) => new(new Guid(number, 0, 0, new byte[8]));
    private static FlagRule Allow(int number, params Id<Organization>[] organizations) => new(Rule(number), FlagRuleType.Allow, organizations);
    private static FlagRule Share(int number, decimal percentage) => new(Rule(number), FlagRuleType.Percentage, null, Percentage.Of(percentage));
}

using Nubabel.Domain.SignIns;
using Nubabel.Testing;

namespace Nubabel.Domain.Tests.SignIns;

public sealed class SignInGuardSpecs : Spec<SignInGuard>
{
    private static readonly FailSignIn Fail = new(Most: 3, WindowSeconds: 900, Account: "user-1");

    private static SignInFailed Failed(int number, int minute) => new(number, Noon.AddMinutes(minute + 15), "user-1");

    [Fact]
    public void A_failed_sign_in_is_recorded_each_time()
    {
        Given().When(Fail).Then(Failed(1, 0));
        Given(Failed(1, 0)).When(Fail).Then(Failed(2, 0));
    }

    [Fact]
    public void The_last_one_locks() => Given(Failed(1, -2), Failed(2, -1)).When(Fail).Then(Failed(3, 0), new SignInLocked(Noon.AddMinutes(15)));

    [Fact]
    public void What_was_before_the_window_does_not_count() => Given(Failed(1, -15), Failed(2, -14)).When(Fail).Then(Failed(2, 0));

    [Fact]
    public void What_stands_in_the_period_before_counts() => Given(Failed(2, -1)).When(Fail with { Earlier = 1 }).Then(Failed(3, 0), new SignInLocked(Noon.AddMinutes(15)));

    [Fact]
    public void While_it_is_locked_nothing_is_recorded() => Given(new SignInLocked(Noon.AddTicks(1))).When(Fail).Nothing();

    [Fact]
    public void It_frees_itself_and_counts_from_the_start() => Given(Failed(1, -30), Failed(2, -30), Failed(3, -15), new SignInLocked(Noon)).When(Fail).Then(Failed(1, 0));

    [Fact]
    public void Whoever_proves_to_be_the_holder_clears_it()
    {
        Given(Failed(1, 0)).When(new ClearSignIns()).Then(new SignInCleared());
        Given(new SignInLocked(Noon.AddMinutes(5))).When(new ClearSignIns()).Then(new SignInCleared());
        Given().When(new ClearSignIns()).Nothing();
        Given(Failed(1, 0), Failed(2, 0), new SignInCleared()).When(Fail).Then(Failed(1, 0));
    }

    [Fact]
    public void However_long_it_goes_on_no_more_is_kept_than_what_locks()
    {
        var state = SignInGuard.Initial;
        for (var minute = 0; minute < 10_000; minute += 6)
        {
            var at = new Context(Noon.AddMinutes(minute), Actor.System("spec"));
            state = SignInGuard.Decide(state, Fail, at).Aggregate(state, SignInGuard.Evolve);
            Assert.InRange(state.Failures.Count, 0, 3);
        }
    }
}

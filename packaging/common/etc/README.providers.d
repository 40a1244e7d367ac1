Your providers: any *.yml file here. The shipped ones are in /usr/share/monorelay/providers.d. A file of the same name here
replaces a shipped one, an empty one takes it away, any other name adds; `extends: NAME` builds upon the shipped NAME, and
upgrades still bring what you did not touch. All fields: monorelay-providers(5).

    monorelay check              what is wrong, before it counts
    systemctl reload monorelay   put it in force; a mistake changes nothing
